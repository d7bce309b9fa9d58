import assert from 'node:assert/strict';
import { test } from 'node:test';
import { steady } from './steady-list';

const items = (...ids: string[]) => ids.map((id) => ({ id }));
const ids = (list: ReturnType<typeof steady>) =>
  list.rows.map(({ item, isOver }) => (isOver ? `${item.id} over` : item.id));

test('a list that is not in use shows what there is', () => {
  const list = steady(steady(undefined, items('a', 'b'), true), items('c', 'a'), false);
  assert.deepEqual(ids(list), ['c', 'a']);
  assert.equal(list.waiting, 0);
});

test('in a list that is in use, no row moves', () => {
  const list = steady(steady(undefined, items('a', 'b'), false), items('c', 'b'), true);
  assert.deepEqual(ids(list), ['a over', 'b']);
  assert.equal(list.waiting, 1);
  assert.deepEqual(ids(steady(list, items('a', 'c', 'b'), true)), ['a', 'b']);
});
