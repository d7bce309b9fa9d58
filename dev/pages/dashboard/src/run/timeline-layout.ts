import { parsed } from '../time/format';
import type { Attempt, RunDetail, TimelineChild } from './documents';

/** What a run did in a span of time. `now` is where it has not ended. */
export interface Segment {
  kind: 'queue' | 'start' | 'work' | 'pause' | 'backoff' | 'children' | 'signal';
  from: number;
  to: number;
  isOpen: boolean;
}

export interface TimelineRow {
  id: string;
  title: string;
  attempt: Attempt | undefined;
  child: TimelineChild | undefined;
  segments: Segment[];
}

export interface Timeline {
  rows: TimelineRow[];
  scale: Scale;
}

type TimedRun = Pick<
  RunDetail,
  'createdOn' | 'startAt' | 'startedOn' | 'finishedOn' | 'reason' | 'nextIterationAt' | 'phase'
>;

/**
 * Lays out the history of a run.
 *
 * @param history its attempts, newest first, as the gateway has them.
 */
export function layOut(
  run: TimedRun,
  history: readonly Attempt[],
  children: readonly TimelineChild[],
  now: number,
): Timeline {
  const attempts = [...history].reverse();
  const begin = parsed(run.createdOn) ?? now;
  const end = parsed(run.finishedOn) ?? now;
  const rows: TimelineRow[] = [];
  let free = begin;
  let waits: Segment['kind'] = 'queue';
  let due: number | undefined = parsed(run.startAt);
  for (const attempt of attempts) {
    const created = parsed(attempt.pod?.createdOn) ?? parsed(attempt.createdOn) ?? parsed(attempt.startedOn);
    const started = parsed(attempt.pod?.startedOn) ?? parsed(attempt.startedOn) ?? parsed(attempt.createdOn);
    const finished = parsed(attempt.finishedOn) ?? parsed(attempt.pod?.finishedOn);
    const last = finished ?? end;
    // An attempt whose pod has left no time at all: it is shown where it must have been.
    const from = Math.max(free, Math.min(created ?? free, last));
    const work = Math.max(from, Math.min(started ?? (finished === undefined ? last : from), last));
    rows.push({
      id: attempt.id,
      title: titleOf(attempt),
      attempt,
      child: undefined,
      segments: [
        ...between(waits, free, from, due),
        ...span('start', from, work, started === undefined && finished === undefined),
        ...span('work', work, last, finished === undefined, started !== undefined || finished !== undefined),
      ],
    });
    free = Math.max(free, last);
    waits = waitAfter(attempt);
    due = parsed(attempt.waitUntil) ?? dueAfter(attempt, free);
  }
  const newest = attempts.at(-1);
  const isWaiting = !run.finishedOn && (newest === undefined || newest.finishedOn !== null);
  if (isWaiting && now > free) {
    rows.push({
      id: 'now',
      title: 'Now',
      attempt: undefined,
      child: undefined,
      segments: between(waitBy(run.reason) ?? waits, free, now, undefined, true),
    });
  }
  for (const child of children) {
    const from = parsed(child.createdOn) ?? begin;
    const started = parsed(child.startedOn);
    const to = parsed(child.finishedOn) ?? now;
    rows.push({
      id: `child ${child.namespace}/${child.id}`,
      title: child.name ?? child.id,
      attempt: undefined,
      child,
      segments: [
        ...span('queue', from, started ?? to, started === undefined && !child.finishedOn),
        ...(started === undefined ? [] : span('work', started, to, !child.finishedOn, true)),
      ],
    });
  }
  return { rows, scale: scaleOf(rows, begin, Math.max(end, free)) };
}

function titleOf(attempt: Attempt): string {
  if (attempt.iteration === 0) return attempt.hook ? `Hook ${attempt.hook}` : 'Hooks';
  return attempt.attempt > 1 ? `${attempt.iteration}, attempt ${attempt.attempt}` : String(attempt.iteration);
}

function waitAfter(attempt: Attempt): Segment['kind'] {
  if (attempt.answer === 'error' || attempt.answer === 'disrupted') return 'backoff';
  if (attempt.waitsForSignals.length) return 'signal';
  if (attempt.waitsForChildren) return 'children';
  if (attempt.waitSeconds || attempt.waitUntil) return 'pause';
  return 'queue';
}

function waitBy(reason: string | null): Segment['kind'] | undefined {
  switch (reason) {
    case 'WaitingForChildren':
      return 'children';
    case 'WaitingForSignal':
      return 'signal';
    case 'Retrying':
      return 'backoff';
    case 'Waiting':
    case 'Delayed':
      return 'pause';
    default:
      return reason === null ? undefined : 'queue';
  }
}

function dueAfter(attempt: Attempt, end: number): number | undefined {
  return attempt.waitSeconds ? end + attempt.waitSeconds * 1000 : undefined;
}

/** A wait until it is due; from then on, the run waits for a slot. */
function between(kind: Segment['kind'], from: number, to: number, due: number | undefined, isOpen = false): Segment[] {
  if (due !== undefined && due > from && due < to) {
    return [...span(kind === 'queue' ? 'pause' : kind, from, due, false), ...span('queue', due, to, isOpen)];
  }
  const waited = due !== undefined && due >= to && kind === 'queue' ? 'pause' : kind;
  return span(waited, from, to, isOpen);
}

function span(kind: Segment['kind'], from: number, to: number, isOpen: boolean, always = false): Segment[] {
  return to > from || always ? [{ kind, from, to: Math.max(from, to), isOpen }] : [];
}

/** A part of the time axis; idle time is shorter than it was. */
interface Piece {
  from: number;
  to: number;
  begin: number;
  width: number;
  isIdle: boolean;
}

export interface Tick {
  at: number;
  place: number;
}

/** Where a time is on the axis, from 0 to 1. */
export interface Scale {
  from: number;
  to: number;
  place: (time: number) => number;
  idle: { from: number; to: number; place: number; width: number }[];
  ticks: Tick[];
}

const IDLE_WIDTH = 0.05;
/** Idle time is collapsed if it is longer than this part of all busy time, and than some seconds. */
const IDLE_PART = 0.5;
const IDLE_MS = 10_000;
const MOST_IDLE = 8;
const TICKS = 6;

export function scaleOf(rows: readonly TimelineRow[], from: number, to: number): Scale {
  const busy = merged(
    rows.flatMap((row) =>
      row.segments
        .filter((one) => one.kind === 'work' || one.kind === 'start')
        .map((one) => [one.from, one.to] as const),
    ),
  );
  const total = busy.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const limit = Math.max(IDLE_MS, total * IDLE_PART);
  const gaps: (readonly [number, number])[] = [];
  let reached = from;
  for (const [begin, end] of busy) {
    if (begin - reached > limit) gaps.push([reached, begin]);
    reached = Math.max(reached, end);
  }
  if (to - reached > limit && busy.length) gaps.push([reached, to]);
  const longest = gaps.sort((a, b) => b[1] - b[0] - (a[1] - a[0])).slice(0, MOST_IDLE);
  return scaleWith(
    longest.sort((a, b) => a[0] - b[0]),
    from,
    Math.max(to, from + 1),
  );
}

function scaleWith(gaps: readonly (readonly [number, number])[], from: number, to: number): Scale {
  const idleTime = gaps.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const busyTime = Math.max(1, to - from - idleTime);
  const busyWidth = 1 - gaps.length * IDLE_WIDTH;
  const pieces: Piece[] = [];
  let reached = from;
  let begin = 0;
  function add(end: number, isIdle: boolean): void {
    const width = isIdle ? IDLE_WIDTH : ((end - reached) / busyTime) * busyWidth;
    pieces.push({ from: reached, to: end, begin, width, isIdle });
    reached = end;
    begin += width;
  }
  for (const [gapFrom, gapTo] of gaps) {
    if (gapFrom > reached) add(gapFrom, false);
    add(gapTo, true);
  }
  if (to > reached) add(to, false);
  function place(time: number): number {
    const piece = pieces.find((one) => time <= one.to) ?? pieces.at(-1);
    if (!piece) return 0;
    const length = piece.to - piece.from || 1;
    const part = Math.min(1, Math.max(0, (time - piece.from) / length));
    return piece.begin + part * piece.width;
  }
  return {
    from,
    to,
    place,
    idle: pieces
      .filter((piece) => piece.isIdle)
      .map((piece) => ({ from: piece.from, to: piece.to, place: piece.begin, width: piece.width })),
    ticks: ticksOf(pieces, from, busyTime),
  };
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400].map(
  (seconds) => seconds * 1000,
);

/** Round times since the beginning, where the axis is not collapsed. */
function ticksOf(pieces: readonly Piece[], from: number, busyTime: number): Tick[] {
  const step = STEPS.find((one) => busyTime / one <= TICKS) ?? Math.ceil(busyTime / TICKS / 86_400_000) * 86_400_000;
  const ticks: Tick[] = [];
  for (const piece of pieces) {
    if (piece.isIdle) continue;
    const first = Math.ceil((piece.from - from) / step) * step;
    for (let at = first; from + at <= piece.to; at += step) {
      const part = (from + at - piece.from) / (piece.to - piece.from || 1);
      ticks.push({ at, place: piece.begin + part * piece.width });
    }
  }
  return ticks;
}

function merged(spans: (readonly [number, number])[]): [number, number][] {
  const result: [number, number][] = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
