import { diffLines } from 'diff';
import { useMemo, useState } from 'react';
import { Button } from '../components/Button';
import { plain } from '../components/text';
import type { Json } from './json';
import { sorted } from './sorted';

const CONTEXT = 3;
const MOST_MS = 1_000;
const MOST_LINES = 400;

interface Line {
  sign: '+' | '-' | ' ';
  text: string;
}

/** The difference of two values, line by line. What is equal is folded. */
export function DiffView({ before, after }: { before: Json; after: Json }) {
  const [most, setMost] = useState(MOST_LINES);
  const lines = useMemo(() => linesOf(before, after), [before, after]);
  if (lines === undefined) return <p className="help">They differ too much to be compared line by line.</p>;
  if (lines.every((line) => line.sign === ' ')) return <p className="help">Nothing has changed.</p>;
  const shown = folded(lines);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard.
    <section className="diff mono" tabIndex={0} aria-label="Difference">
      {shown.slice(0, most).map((line, place) =>
        typeof line === 'number' ? (
          <div key={place} className="diff-fold">
            {line} equal {line === 1 ? 'line' : 'lines'}
          </div>
        ) : (
          <div
            key={place}
            className={`diff-line diff-${line.sign === '+' ? 'added' : line.sign === '-' ? 'removed' : 'same'}`}
          >
            <span aria-hidden="true">{line.sign}</span>
            <span className="hidden">{line.sign === '+' ? 'added' : line.sign === '-' ? 'removed' : ''}</span>
            <bdi>{plain(line.text, 1000)}</bdi>
          </div>
        ),
      )}
      {shown.length > most ? <Button onClick={() => setMost(most * 4)}>{shown.length - most} more lines</Button> : null}
    </section>
  );
}

function linesOf(before: Json, after: Json): Line[] | undefined {
  const changes = diffLines(text(before), text(after), { timeout: MOST_MS });
  return changes?.flatMap(({ value, added, removed }) =>
    value
      .replace(/\n$/, '')
      .split('\n')
      .map((line): Line => ({ sign: added ? '+' : removed ? '-' : ' ', text: line })),
  );
}

/** Returns a value as lines. Commas at their ends are left out: another line after a line does not change it. */
function text(value: Json): string {
  return `${JSON.stringify(sorted(value), null, 2)}\n`.replace(/,$/gm, '');
}

/** Replaces equal lines that are far from a change by their number. */
function folded(lines: readonly Line[]): (Line | number)[] {
  const isNear = new Uint8Array(lines.length);
  lines.forEach((line, place) => {
    if (line.sign !== ' ') isNear.fill(1, Math.max(0, place - CONTEXT), place + CONTEXT + 1);
  });
  const result: (Line | number)[] = [];
  let hidden = 0;
  lines.forEach((line, place) => {
    if (isNear[place]) {
      if (hidden) result.push(hidden);
      hidden = 0;
      result.push(line);
    } else hidden += 1;
  });
  if (hidden) result.push(hidden);
  return result;
}
