import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from './documents';
import { EMPTY, type LiveList, marked, reduce, type Update } from './live-list';

function run(id: string, version = '1', values: Partial<Run> = {}): Run {
  return { id, version, phase: 'Running', ...values } as Run;
}

function update(type: Update['type'], id: string, version = '2', matches = true): Update {
  return { type, id, run: run(id, version), matches };
}

function page(list: LiveList, ids: string[], isFirst = true): LiveList {
  return reduce(list, { type: 'page', runs: ids.map((id) => run(id)), cursor: 'next', hasMore: true, isFirst });
}

const ids = (list: LiveList) => list.rows.map((row) => row.run.id);

test('a change appears in place', () => {
  const list = reduce(page(EMPTY, ['a', 'b']), { type: 'updates', updates: [update('UPDATED', 'b')], showsNew: true });
  assert.deepEqual(ids(list), ['a', 'b']);
  assert.equal(list.rows[1]?.run.version, '2');
});

test('new runs wait until they are asked for, newest first', () => {
  const updates = [update('ADDED', 'x'), update('ADDED', 'y')];
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: false });
  assert.deepEqual(ids(list), ['a']);
  assert.deepEqual(ids(reduce(list, { type: 'show' })), ['y', 'x', 'a']);
});

test('a new run that changes at once still waits', () => {
  const updates = [update('ADDED', 'x', '1'), update('UPDATED', 'x', '2')];
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: false });
  assert.deepEqual(
    list.waiting.map((one) => [one.id, one.version]),
    [['x', '2']],
  );
});

test('at the top, new runs come at once', () => {
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates: [update('ADDED', 'x')], showsNew: true });
  assert.deepEqual(ids(list), ['x', 'a']);
});

test('a run that is deleted or leaves the list is marked, and goes only when the reader asks', () => {
  const updates = [update('DELETED', 'a'), update('UPDATED', 'b', '2', false)];
  const list = reduce(page(EMPTY, ['a', 'b', 'c']), { type: 'updates', updates, showsNew: true });
  assert.deepEqual(
    list.rows.map((row) => row.mark),
    ['deleted', 'unmatched', undefined],
  );
  assert.equal(marked(list), 2);
  assert.deepEqual(ids(reduce(list, { type: 'show' })), ['c']);
});

test('a page that was read before a change does not undo it', () => {
  const early = reduce(EMPTY, { type: 'updates', updates: [update('UPDATED', 'a', '10')], showsNew: true });
  const list = page(early, ['a', 'b']);
  assert.equal(list.rows[0]?.run.version, '10');
});

test('versions are compared as numbers', () => {
  const early = reduce(EMPTY, { type: 'updates', updates: [update('UPDATED', 'a', '9')], showsNew: true });
  const list = reduce(early, { type: 'page', runs: [run('a', '10')], cursor: null, hasMore: false, isFirst: true });
  assert.equal(list.rows[0]?.run.version, '10');
});

test('a page brings no run twice', () => {
  const list = page(page(EMPTY, ['a', 'b']), ['b', 'c'], false);
  assert.deepEqual(ids(list), ['a', 'b', 'c']);
});

test('a change of a run that was not read yet adds no row: its page will have it', () => {
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates: [update('UPDATED', 'old')], showsNew: true });
  assert.deepEqual(ids(list), ['a']);
});

test('a new run that is deleted before it is shown is forgotten', () => {
  const added = reduce(page(EMPTY, ['a']), { type: 'updates', updates: [update('ADDED', 'x')], showsNew: false });
  const list = reduce(added, { type: 'updates', updates: [update('DELETED', 'x')], showsNew: false });
  assert.equal(list.waiting.length, 0);
});

test('of thousands of changes only the newest states are kept', () => {
  const updates = Array.from({ length: 3000 }, (_, number) => update('UPDATED', `run-${number}`));
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: true });
  assert.equal(list.seen.size, 1000);
  assert.ok(list.seen.has('run-2999'));
});
