import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, duration, inZone, relative } from './format';

test('durations have their two largest units', () => {
  assert.deepEqual([0, 950, 4_260, 59_999, 200_000, 7_500_000, 273_600_000].map(duration), [
    '0 ms',
    '950 ms',
    '4.2 s',
    '59 s',
    '3 min 20 s',
    '2 h 5 min',
    '3 d 4 h',
  ]);
  assert.equal(duration(-5), '0 ms'); // clocks differ
});

test('times are relative to now, in both directions', () => {
  assert.equal(relative(0, 65_000), '1 min ago');
  assert.equal(relative(3_700_000, 0), 'in 1 h');
  assert.equal(relative(0, 500), 'just now');
});

test('large numbers are grouped', () => {
  assert.equal(count(1234567), '1\u2009234\u2009567');
});

test('a time in another zone has its weekday and offset, so that an hour that comes twice is two', () => {
  const first = Date.parse('2026-10-25T00:30:00Z');
  assert.equal(inZone(first, 'Europe/Vienna'), 'Sun 2026-10-25 02:30 UTC+2');
  assert.equal(inZone(first + 3_600_000, 'Europe/Vienna'), 'Sun 2026-10-25 02:30 UTC+1');
  assert.equal(inZone(first + 10_000, 'UTC'), 'Sun 2026-10-25 00:30:10 UTC');
  assert.equal(inZone(first, 'Moon/Tycho'), 'Sun 2026-10-25 00:30 UTC');
});
