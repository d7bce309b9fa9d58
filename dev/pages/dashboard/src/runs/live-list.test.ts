import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Run } from './documents';
import { EMPTY, type LiveList, marked, reduce, type Update } from './live-list';

const sort = 'createdOn_DESC' as const;
/** Runs are created in the order of their ids, each a second after the one before: z is the newest. */
const created = (id: string) => new Date(Date.UTC(2026, 0, 1) + 1000 * id.charCodeAt(0)).toISOString();

function run(id: string, version = '1', values: Partial<Run> = {}): Run {
  return { id, version, phase: 'Running', createdOn: created(id), ...values } as Run;
}

function update(type: Update['type'], id: string, version = '2', matches = true): Update {
  return { type, id, run: run(id, version), matches };
}

function page(list: LiveList, ids: string[], after: string | null = null, cursor = 'next'): LiveList {
  return reduce(list, { type: 'page', runs: ids.map((id) => run(id)), cursor, hasMore: true, after });
}

const ids = (list: LiveList) => list.rows.map((row) => row.run.id);

test('a change appears in place', () => {
  const list = reduce(page(EMPTY, ['a', 'b']), {
    type: 'updates',
    updates: [update('UPDATED', 'b')],
    showsNew: true,
    sort,
  });
  assert.deepEqual(ids(list), ['a', 'b']);
  assert.equal(list.rows[1]?.run.version, '2');
});

test('new runs wait until they are asked for, newest first', () => {
  const updates = [update('ADDED', 'x'), update('ADDED', 'y')];
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: false, sort });
  assert.deepEqual(ids(list), ['a']);
  assert.deepEqual(ids(reduce(list, { type: 'show', sort })), ['y', 'x', 'a']);
});

test('a new run that changes at once still waits', () => {
  const updates = [update('ADDED', 'x', '1'), update('UPDATED', 'x', '2')];
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: false, sort });
  assert.deepEqual(
    list.waiting.map((one) => [one.id, one.version]),
    [['x', '2']],
  );
});

test('at the top, new runs come at once', () => {
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates: [update('ADDED', 'x')], showsNew: true, sort });
  assert.deepEqual(ids(list), ['x', 'a']);
});

test('a run that is deleted or leaves the list is marked, and goes only when the reader asks', () => {
  const updates = [update('DELETED', 'a'), update('UPDATED', 'b', '2', false)];
  const list = reduce(page(EMPTY, ['a', 'b', 'c']), { type: 'updates', updates, showsNew: true, sort });
  assert.deepEqual(
    list.rows.map((row) => row.mark),
    ['deleted', 'unmatched', undefined],
  );
  assert.equal(marked(list), 2);
  assert.deepEqual(ids(reduce(list, { type: 'show', sort })), ['c']);
});

test('a page that was read before a change does not undo it', () => {
  const early = reduce(EMPTY, { type: 'updates', updates: [update('UPDATED', 'a', '10')], showsNew: true, sort });
  const list = page(early, ['a', 'b']);
  assert.equal(list.rows[0]?.run.version, '10');
});

test('versions are compared as numbers', () => {
  const early = reduce(EMPTY, { type: 'updates', updates: [update('UPDATED', 'a', '9')], showsNew: true, sort });
  const list = reduce(early, { type: 'page', runs: [run('a', '10')], cursor: null, hasMore: false, after: null });
  assert.equal(list.rows[0]?.run.version, '10');
});

test('a page brings no run twice', () => {
  const list = page(page(EMPTY, ['a', 'b']), ['b', 'c'], 'next');
  assert.deepEqual(ids(list), ['a', 'b', 'c']);
});

test('a run that has moved between two pages is shown once', () => {
  assert.deepEqual(ids(page(EMPTY, ['a', 'b', 'a'])), ['a', 'b']);
});

test('a page that does not continue the list changes nothing', () => {
  const list = page(page(EMPTY, ['a'], null, 'after a'), ['b'], 'after a', 'after b');
  assert.deepEqual(page(list, ['b'], 'after a', 'after b'), list);
  assert.equal(page(list, ['c'], 'after b', 'after c').cursor, 'after c');
});

test('a run that begins to match comes to its place, though it is not new', () => {
  const read = page(EMPTY, ['k', 'f', 'c']);
  const updates = [update('UPDATED', 'h'), update('UPDATED', 'd')];
  const shown = reduce(read, { type: 'updates', updates, showsNew: true, sort });
  assert.deepEqual(ids(shown), ['k', 'h', 'f', 'd', 'c']);
  const waits = reduce(read, { type: 'updates', updates, showsNew: false, sort });
  assert.deepEqual(ids(waits), ['k', 'f', 'c']);
  assert.deepEqual(ids(reduce(waits, { type: 'show', sort })), ['k', 'h', 'f', 'd', 'c']);
});

test('a change of a run that a later page has adds no row', () => {
  const updates = [update('UPDATED', 'b')];
  const more = page(EMPTY, ['k', 'f']);
  assert.deepEqual(ids(reduce(more, { type: 'updates', updates, showsNew: true, sort })), ['k', 'f']);
  const all = { ...more, hasMore: false, cursor: null };
  assert.deepEqual(ids(reduce(all, { type: 'updates', updates, showsNew: true, sort })), ['k', 'f', 'b']);
});

test('in another order, only a list that was read to its end takes what begins to match', () => {
  const updates = [update('UPDATED', 'z')];
  const byName = { type: 'updates', updates, showsNew: false, sort: 'name_ASC' } as const;
  const more = page(EMPTY, ['a', 'b']);
  assert.equal(reduce(more, byName).waiting.length, 0);
  assert.equal(reduce({ ...more, hasMore: false }, byName).waiting.length, 1);
});

test('a new run that is deleted before it is shown is forgotten', () => {
  const added = reduce(page(EMPTY, ['a']), { type: 'updates', updates: [update('ADDED', 'x')], showsNew: false, sort });
  const list = reduce(added, { type: 'updates', updates: [update('DELETED', 'x')], showsNew: false, sort });
  assert.equal(list.waiting.length, 0);
});

test('of thousands of changes only the newest states are kept', () => {
  const updates = Array.from({ length: 3000 }, (_, number) => update('UPDATED', `run-${number}`));
  const list = reduce(page(EMPTY, ['a']), { type: 'updates', updates, showsNew: true, sort });
  assert.equal(list.seen.size, 1000);
  assert.ok(list.seen.has('run-2999'));
});
