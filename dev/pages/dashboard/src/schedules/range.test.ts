import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inRange, minutes } from './range';

const TIMES = ['2026-11-01T02:00:00Z', '2026-11-02T02:00:00Z', '2026-11-03T02:00:00Z'];
const NOW = Date.parse('2026-11-30T12:00:00Z');

test('the end of a range is not part of it', () => {
  const until = Date.parse('2026-11-02T02:00:00Z');
  assert.deepEqual(inRange(TIMES, 10, until, NOW), { times: TIMES.slice(0, 1), isMore: false });
});

test('times that have not come yet are left to the schedule', () => {
  const early = Date.parse('2026-11-02T12:00:00Z');
  assert.equal(inRange(TIMES, 10, NOW, early).times.length, 2);
});

test('a range with more times than were asked for says so', () => {
  assert.equal(inRange(TIMES, 3, NOW, NOW).isMore, true);
  assert.equal(inRange(TIMES, 4, NOW, NOW).isMore, false);
});

test('starts take at least a minute, unless there are none', () => {
  assert.deepEqual([minutes(0, 60), minutes(1, 60), minutes(61, 60)], [0, 1, 2]);
});
