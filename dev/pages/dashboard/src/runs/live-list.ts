import type { Run } from './documents';
import type { Sort } from './filters';

/**
 * The rows of a list that changes while it is read.
 *
 * A row never moves: changes appear in place, new runs wait until the reader asks for them (or come at once while the
 * reader is at the top), and runs that were deleted or no longer match stay, marked, until then.
 */
export interface LiveList {
  rows: Row[];
  /** New runs that are not shown yet, newest first. */
  waiting: Run[];
  cursor: string | null;
  hasMore: boolean;
  isLoaded: boolean;
  /** The newest states that arrived by subscription: a page that was read before must not undo them. */
  seen: ReadonlyMap<string, Run | null>;
}

export interface Row {
  run: Run;
  mark: 'deleted' | 'unmatched' | undefined;
}

export interface Update {
  type: 'ADDED' | 'UPDATED' | 'DELETED';
  id: string;
  run: Run | null;
  /** Whether it belongs to the list now. */
  matches: boolean;
}

export type Action =
  | { type: 'begin' }
  /** A page from the start of the list, or after a cursor. */
  | { type: 'page'; runs: Run[]; cursor: string | null; hasMore: boolean; after: string | null }
  | { type: 'updates'; updates: Update[]; showsNew: boolean; sort: Sort }
  | { type: 'show'; sort: Sort };

/** Pages are answered within seconds, so a few states are enough; all of them would be a copy of the list in the end. */
const MOST_SEEN = 1000;

export const EMPTY: LiveList = {
  rows: [],
  waiting: [],
  cursor: null,
  hasMore: false,
  isLoaded: false,
  seen: new Map(),
};

export function reduce(list: LiveList, action: Action): LiveList {
  switch (action.type) {
    case 'begin':
      return EMPTY;
    case 'page':
      return withPage(list, action);
    case 'updates':
      return withUpdates(list, action);
    case 'show': {
      const kept = list.rows.filter((row) => row.mark === undefined);
      return { ...list, rows: withRuns(kept, list.waiting, action.sort), waiting: [] };
    }
  }
}

/** Returns how many rows are marked, and would go with the next `show`. */
export function marked(list: LiveList): number {
  return list.rows.reduce((sum, row) => sum + (row.mark ? 1 : 0), 0);
}

function withPage(list: LiveList, { runs, cursor, hasMore, after }: Extract<Action, { type: 'page' }>): LiveList {
  if (after !== null && after !== list.cursor) return list;
  const before = after === null ? [] : list.rows;
  const known = new Set([...before.map((row) => row.run.id), ...list.waiting.map((run) => run.id)]);
  const added = runs
    .filter((run) => !known.has(run.id) && known.add(run.id)) // a run may have moved between two pages
    .map((run): Row => {
      const seen = list.seen.get(run.id);
      return seen === null ? { run, mark: 'deleted' } : unmarked(seen && isNewer(seen, run) ? seen : run);
    });
  return { ...list, rows: [...before, ...added], cursor, hasMore, isLoaded: true };
}

/** The answer to a page may be older than what the subscription has said since it was asked for. */
export function isNewer(seen: Pick<Run, 'version'> | undefined, run: Pick<Run, 'version'>): boolean {
  return seen !== undefined && BigInt(seen.version) > BigInt(run.version);
}

/**
 * Returns whether a run is after the last row in the order of the list, so that a page that was not read yet has it.
 *
 * Only the order of creation is known here: in another order, what was not read yet is left to its page.
 */
function isBeyond(list: LiveList, run: Run, sort: Sort): boolean {
  const last = list.rows.at(-1)?.run;
  if (!list.hasMore || !last) return false;
  const direction = DIRECTIONS[sort];
  return direction === undefined || direction * (Date.parse(run.createdOn) - Date.parse(last.createdOn)) > 0;
}

const DIRECTIONS: Partial<Record<Sort, number>> = { createdOn_ASC: 1, createdOn_DESC: -1 };

/** Returns the rows with further runs: each at its place in the order of creation, or first in another order. */
function withRuns(rows: Row[], runs: readonly Run[], sort: Sort): Row[] {
  const direction = DIRECTIONS[sort];
  if (direction === undefined) return [...runs.map(unmarked), ...rows];
  const result = [...rows];
  for (const run of [...runs].reverse()) {
    const later = direction * Date.parse(run.createdOn);
    const place = result.findIndex((row) => direction * Date.parse(row.run.createdOn) >= later);
    result.splice(place < 0 ? result.length : place, 0, unmarked(run));
  }
  return result;
}

function withUpdates(list: LiveList, { updates, showsNew, sort }: Extract<Action, { type: 'updates' }>): LiveList {
  const places = new Map(list.rows.map((row, place) => [row.run.id, place]));
  const rows = [...list.rows];
  const seen = new Map(list.seen);
  let waiting = list.waiting;
  for (const { type, id, run, matches } of updates) {
    seen.delete(id); // so that it is the newest one
    seen.set(id, type === 'DELETED' ? null : run);
    const place = places.get(id);
    const row = place === undefined ? undefined : rows[place];
    if (row && place !== undefined) {
      rows[place] =
        type === 'DELETED' || !run
          ? { run: run ?? row.run, mark: 'deleted' }
          : { run, mark: matches ? undefined : 'unmatched' };
      continue;
    }
    const waits = waiting.some((other) => other.id === id);
    waiting = waiting.filter((other) => other.id !== id);
    if (type === 'DELETED' || !run || !matches) continue;
    // ADDED or UPDATED says only whether the run is new, not whether it is new to this list: a run that has failed
    // was there before, but not among the failed ones.
    const isNew = type === 'ADDED' && DIRECTIONS[sort] === undefined;
    if (waits || isNew || !isBeyond(list, run, sort)) waiting = [run, ...waiting];
  }
  for (const id of seen.keys()) {
    if (seen.size <= MOST_SEEN) break;
    seen.delete(id);
  }
  if (!list.isLoaded) return { ...list, seen };
  if (showsNew) return { ...list, rows: withRuns(rows, waiting, sort), waiting: [], seen };
  return { ...list, rows, waiting, seen };
}

function unmarked(run: Run): Row {
  return { run, mark: undefined };
}
