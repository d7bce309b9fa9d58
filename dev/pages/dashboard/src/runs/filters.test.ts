import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromSearch, NO_FILTERS, nextSort, numberOfFilters, toSearch, toVariables } from './filters';

const NOW = Date.parse('2026-11-30T12:00:00Z');

test('filters survive the way to the address and back', () => {
  const filters = {
    ...NO_FILTERS,
    phases: ['Running' as const, 'Failed' as const],
    definition: 'importProducts',
    search: 'a & b = "ü"',
    reason: 'OOMKilled',
    createdBy: 'system:serviceaccount:shop:web',
    schedule: 'nightly',
    from: '24h',
    to: '2026-11-30T11:00',
    rootsOnly: true,
    sort: 'name_ASC' as const,
    columns: ['phase' as const, 'name' as const, 'iterations' as const],
  };
  const text = toSearch(filters, new URLSearchParams()).toString();
  assert.deepEqual(fromSearch(new URLSearchParams(text)), filters);
});

test('an address without filters is short, and keeps what is not a filter', () => {
  assert.equal(toSearch(NO_FILTERS, new URLSearchParams('namespace=shop&status=Failed')).toString(), 'namespace=shop');
  assert.deepEqual(fromSearch(new URLSearchParams()), NO_FILTERS);
});

test('what an address says and the page does not know is ignored', () => {
  const filters = fromSearch(new URLSearchParams('status=Failed,Sleeping&sort=drop_table&columns=phase,__proto__'));
  assert.deepEqual(filters.phases, ['Failed']);
  assert.equal(filters.sort, 'createdOn_DESC');
  assert.deepEqual(filters.columns, ['phase', 'name']);
});

test('a range counts back from now', () => {
  const { where } = toVariables({ ...NO_FILTERS, from: '1h', phases: ['Succeeded'] }, NOW);
  assert.deepEqual(where, { taskStatus_in: ['success'], createdOn_gte: '2026-11-30T11:00:00.000Z' });
});

test('sort and columns hide nothing, so they are not counted', () => {
  assert.equal(numberOfFilters({ ...NO_FILTERS, sort: 'name_ASC', columns: [] }), 0);
  assert.equal(numberOfFilters({ ...NO_FILTERS, phases: ['Failed'], search: 'x' }), 2);
});

test('a title sorts down, then up; some columns cannot be sorted', () => {
  assert.equal(nextSort('createdOn_DESC', 'name'), 'name_DESC');
  assert.equal(nextSort('name_DESC', 'name'), 'name_ASC');
  assert.equal(nextSort('name_DESC', 'progress'), undefined);
});
