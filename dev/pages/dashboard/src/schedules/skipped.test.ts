import assert from 'node:assert/strict';
import { test } from 'node:test';
import { skippedReasons, skippedTotal } from './skipped';

test('the reasons are words, the most frequent one first, without those that never applied', () => {
  const skipped = { overlap: 2, suspended: 5, nameTaken: 0, somethingNew: 1 };
  assert.deepEqual(skippedReasons(skipped), [
    { words: 'suspended', count: 5 },
    { words: 'a run was unfinished', count: 2 },
    { words: 'somethingNew', count: 1 },
  ]);
  assert.equal(skippedTotal(skipped), 8);
});

test('a schedule that no operator has seen has skipped nothing', () => {
  assert.equal(skippedTotal({}), 0);
  assert.equal(skippedTotal(null), 0);
});
