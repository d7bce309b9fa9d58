import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogLine } from '../run/documents';
import { parseAnsi, stripAnsi } from './ansi-codes';
import { filterLines, LogLines, toText } from './lines';

let last = 0;

function line(message: string, second: number | null, values: Partial<LogLine> = {}): LogLine {
  last += 1;
  return {
    cursor: String(last),
    source: 'LOG',
    createdOn: second === null ? null : `2026-11-30T12:00:${String(second).padStart(2, '0')}Z`,
    type: 'info',
    message,
    data: null,
    error: null,
    podName: 'run-i1',
    iteration: 1,
    attempt: 1,
    dropped: 0,
    ...values,
  };
}

const texts = (lines: LogLines) => lines.lines.map((one) => one.text);

test('lines of several pods are in the order of their times', () => {
  const lines = new LogLines();
  lines.add([line('a', 1), line('c', 3)]);
  lines.add([line('b', 2, { podName: 'run-i2', iteration: 2 }), line('d', 4)]);
  assert.deepEqual(texts(lines), ['a', 'b', 'c', 'd']);
});

test('a line without a time stays after the one before it of the same pod', () => {
  const lines = new LogLines();
  lines.add([line('a', 1), line('a continued', null, { source: 'POD' }), line('b', 1)]);
  lines.add([line('z', 5)]);
  assert.deepEqual(texts(lines), ['a', 'a continued', 'b', 'z']);
});

test('lines that come again after a lost connection make no difference', () => {
  const lines = new LogLines();
  const known = [line('a', 1), line('b', 2)];
  lines.add(known);
  lines.add([...known, line('c', 3)]);
  assert.deepEqual(texts(lines), ['a', 'b', 'c']);
});

test('filters keep gaps, so that it is seen where lines are missing', () => {
  const lines = new LogLines();
  lines.add([
    line('fine', 1),
    line('bad', 2, { type: 'error' }),
    line('', 3, { source: 'GAP', dropped: 7 }),
    line('printed', 4, { source: 'POD', iteration: 2 }),
  ]);
  const kinds = (filter: Parameters<typeof filterLines>[1]) => filterLines(lines.lines, filter).map((one) => one.kind);
  assert.deepEqual(kinds({ level: 'error', iteration: undefined, text: '' }), ['error', 'gap']);
  assert.deepEqual(kinds({ level: 'output', iteration: 2, text: 'PRINT' }), ['gap', 'output']);
  assert.deepEqual(kinds({ level: 'log', iteration: undefined, text: '' }), ['info', 'error', 'gap']);
});

test('the file has everything, without the colours of terminals', () => {
  const lines = new LogLines();
  lines.add([line('\u001b[31mred\u001b[0m', 1, { data: { rows: 3 } }), line('', 2, { source: 'GAP', dropped: 7 })]);
  const text = toText(lines.lines);
  assert.match(text, /2026-11-30T12:00:01.000Z run-i1 info {3}red \{"rows":3\}/);
  assert.match(text, /7 lines are missing/);
});

test('colours of terminals become parts; other control sequences disappear', () => {
  assert.deepEqual(
    parseAnsi('a \u001b[1;32mgood\u001b[0m\u001b[2K b').map(({ text, colour, isBold }) => [text, colour, isBold]),
    [
      ['a ', undefined, false],
      ['good', 2, true],
      [' b', undefined, false],
    ],
  );
  assert.equal(stripAnsi('\u001b]0;title\u0007\u001b[38;5;9mx\u001b[0m'), 'x');
  assert.equal(parseAnsi('\u001b[38;2;1;2;3mx')[0]?.colour, undefined);
});
