import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attempt, TimelineChild } from './documents';
import { layOut, scaleOf } from './timeline-layout';

const BEGIN = Date.parse('2026-11-30T12:00:00Z');
const at = (seconds: number) => new Date(BEGIN + seconds * 1000).toISOString();

function attempt(iteration: number, from: number, to: number | null, values: Partial<Attempt> = {}): Attempt {
  return {
    id: `run-i${iteration}`,
    iteration,
    attempt: 1,
    podName: `run-i${iteration}`,
    hook: null,
    answer: to === null ? null : 'continue',
    message: null,
    errorCode: null,
    cause: null,
    exitCode: null,
    createdOn: at(from),
    startedOn: at(from),
    finishedOn: to === null ? null : at(to),
    nodeName: null,
    waitSeconds: null,
    waitUntil: null,
    waitsForChildren: false,
    waitsForSignals: [],
    pod: null,
    ...values,
  };
}

const run = {
  createdOn: at(0),
  startAt: null,
  startedOn: at(1),
  finishedOn: null as string | null,
  reason: null as string | null,
  nextIterationAt: null,
  phase: 'Running' as const,
};

const kinds = (timeline: ReturnType<typeof layOut>) =>
  timeline.rows.map((row) => row.segments.map((one) => `${one.kind} ${(one.to - one.from) / 1000}`));

test('attempts follow each other: queue, work, queue, work', () => {
  const ended = { ...run, finishedOn: at(9) };
  const timeline = layOut(ended, [attempt(2, 6, 9), attempt(1, 2, 5)], [], BEGIN);
  assert.deepEqual(kinds(timeline), [
    ['queue 2', 'work 3'],
    ['queue 1', 'work 3'],
  ]);
});

test('a wait for a signal does not count as a wait for a slot until its time is over', () => {
  const asks = { waitsForSignals: ['release'], waitSeconds: 10 };
  const ended = { ...run, finishedOn: at(30) };
  const early = layOut(ended, [attempt(2, 6, 9), attempt(1, 2, 5, asks)], [], BEGIN);
  assert.deepEqual(kinds(early)[1], ['signal 1', 'work 3']);
  const late = layOut(ended, [attempt(2, 17, 20), attempt(1, 2, 5, asks)], [], BEGIN);
  assert.deepEqual(kinds(late)[1], ['signal 10', 'queue 2', 'work 3']);
  const open = layOut({ ...run, reason: 'WaitingForSignal' }, [attempt(1, 2, 5, asks)], [], BEGIN + 9000);
  assert.deepEqual(kinds(open)[1], ['signal 4']);
});

test('a pod that starts is not a run that waits', () => {
  const pod = { phase: 'Running', reason: null, message: null, createdOn: at(1), scheduledOn: null, startedOn: at(4) };
  const first = attempt(1, 4, 6, { pod: { ...pod, finishedOn: at(6), restarts: 0 } });
  assert.deepEqual(kinds(layOut({ ...run, finishedOn: at(6) }, [first], [], BEGIN)), [
    ['queue 1', 'start 3', 'work 2'],
  ]);
});

test('a pause lasts until it is due; after that the run waits for a slot', () => {
  const history = [attempt(2, 70, 72), attempt(1, 1, 3, { waitSeconds: 60 })];
  const [, second] = kinds(layOut({ ...run, finishedOn: at(72) }, history, [], BEGIN));
  assert.deepEqual(second, ['pause 60', 'queue 7', 'work 2']);
});

test('after an error the run backs off, and a parent waits for its children', () => {
  const history = [
    attempt(2, 30, 31),
    attempt(1, 20, 25, { id: 'second', attempt: 2, waitsForChildren: true }),
    attempt(1, 1, 5, { answer: 'error' }),
  ];
  const shown = kinds(layOut({ ...run, finishedOn: at(31) }, history, [], BEGIN));
  assert.deepEqual(shown[1], ['backoff 15', 'work 5']);
  assert.deepEqual(shown[2], ['children 5', 'work 1']);
});

test('what has not ended reaches until now', () => {
  const timeline = layOut(run, [attempt(1, 1, null)], [], BEGIN + 10_000);
  const work = timeline.rows[0]?.segments.at(-1);
  assert.equal(work?.isOpen, true);
  assert.equal(work?.to, BEGIN + 10_000);
});

test('a run that waits has a row of its own', () => {
  const timeline = layOut({ ...run, reason: 'Retrying' }, [attempt(1, 1, 5, { answer: 'error' })], [], BEGIN + 9_000);
  assert.deepEqual(kinds(timeline)[1], ['backoff 4']);
});

test('an attempt without any time is shown where it must have been', () => {
  const lost = attempt(1, 0, null, { createdOn: null, startedOn: null, answer: 'disrupted' });
  const timeline = layOut({ ...run, finishedOn: at(9) }, [attempt(2, 6, 9), lost], [], BEGIN);
  for (const one of timeline.rows.flatMap((row) => row.segments)) assert.ok(one.to >= one.from);
});

test('children have rows', () => {
  const child = { id: 'c', name: 'Child', namespace: 'shop', createdOn: at(2), startedOn: at(3), finishedOn: at(5) };
  const timeline = layOut({ ...run, finishedOn: at(9) }, [attempt(1, 1, 2)], [child as TimelineChild], BEGIN);
  assert.deepEqual(kinds(timeline)[1], ['queue 1', 'work 2']);
});

test('long idle time is collapsed, and times keep their order', () => {
  const history = [attempt(2, 3602, 3605), attempt(1, 1, 4, { waitSeconds: 3600 })];
  const { rows, scale } = layOut({ ...run, finishedOn: at(3605) }, history, [], BEGIN);
  assert.equal(scale.idle.length, 1);
  assert.ok((scale.idle[0]?.width ?? 1) < 0.1);
  const places = rows.flatMap((row) => row.segments).flatMap((one) => [scale.place(one.from), scale.place(one.to)]);
  assert.deepEqual(
    places,
    [...places].sort((a, b) => a - b),
  );
  assert.ok(Math.abs(scale.place(BEGIN + 3_605_000) - 1) < 1e-9);
});

test('an axis without anything on it has finite places', () => {
  const scale = scaleOf([], BEGIN, BEGIN);
  assert.ok(Number.isFinite(scale.place(BEGIN)));
});
