import type { LogLine } from '../run/documents';
import { parsed } from '../time/format';
import { stripAnsi } from './ansi-codes';

/** A line of the stream of all logs and all output of a run. */
export interface Line {
  id: number;
  kind: 'info' | 'error' | 'output' | 'gap';
  /** When it was written; a line without a time has that of the line before it from the same pod. */
  at: number | undefined;
  text: string;
  pod: string;
  iteration: number | undefined;
  attempt: number | undefined;
  dropped: number;
  details: LogLine['data'];
}

/** Puts what arrives into one order: by time, and where times are equal, by arrival. */
export class LogLines {
  readonly lines: Line[] = [];
  readonly #lastOfPod = new Map<string, number>();
  readonly #known = new Set<string>();
  #next = 0;

  /** Adds lines; those that it has already, after a lost connection, make no difference. */
  add(incoming: readonly LogLine[]): void {
    for (const one of incoming) {
      if (this.#known.has(one.cursor)) continue;
      this.#known.add(one.cursor);
      this.#insert(this.#lineOf(one));
    }
  }

  #lineOf(one: LogLine): Line {
    const pod = one.podName ?? '';
    const at = parsed(one.createdOn) ?? this.#lastOfPod.get(pod);
    if (at !== undefined) this.#lastOfPod.set(pod, at);
    this.#next += 1;
    return {
      id: this.#next,
      kind: one.source === 'GAP' ? 'gap' : one.source === 'POD' ? 'output' : one.type === 'error' ? 'error' : 'info',
      at,
      text: one.message,
      pod,
      iteration: one.iteration ?? undefined,
      attempt: one.attempt ?? undefined,
      dropped: one.dropped,
      details: one.error ?? one.data,
    };
  }

  #insert(line: Line): void {
    let place = this.lines.length;
    if (line.at !== undefined) {
      while (place > 0 && (this.lines[place - 1]?.at ?? Number.NEGATIVE_INFINITY) > line.at) place -= 1;
    }
    if (place === this.lines.length) this.lines.push(line);
    else this.lines.splice(place, 0, line);
  }
}

/** Which lines are shown. */
export interface LineFilter {
  level: 'all' | 'error' | 'log' | 'output';
  iteration: number | undefined;
  text: string;
}

export function filterLines(lines: readonly Line[], { level, iteration, text }: LineFilter): readonly Line[] {
  if (level === 'all' && iteration === undefined && !text) return lines;
  const wanted = text.toLowerCase();
  return lines.filter(
    (line) =>
      line.kind === 'gap' ||
      ((level === 'all' ||
        (level === 'error' && line.kind === 'error') ||
        (level === 'log' && line.kind !== 'output') ||
        (level === 'output' && line.kind === 'output')) &&
        (iteration === undefined || line.iteration === iteration) &&
        (!wanted || line.text.toLowerCase().includes(wanted))),
  );
}

/** Returns lines as a text file. */
export function toText(lines: readonly Line[]): string {
  return lines.map((line) => `${textOf(line)}\n`).join('');
}

function textOf(line: Line): string {
  const at = line.at === undefined ? '-'.padEnd(24) : new Date(line.at).toISOString();
  if (line.kind === 'gap') return `${at} ... ${gapText(line)}`;
  const details = line.details == null ? '' : ` ${JSON.stringify(line.details)}`;
  return `${at} ${line.pod} ${line.kind.padEnd(6)} ${stripAnsi(line.text)}${details}`;
}

export function gapText(line: Line): string {
  return line.text || (line.dropped ? `${line.dropped} lines are missing` : 'lines are missing');
}
