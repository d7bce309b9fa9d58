import { send } from '../api/http';
import { dataOf, RequestError } from '../api/problems';
import { ListRuns, type Run } from './documents';
import { type Filters, toVariables } from './filters';

/** The most runs that are asked for at once. */
export const PAGE = 100;

export interface Loaded {
  runs: Run[];
  cursor: string | null;
  hasMore: boolean;
}

/** Reads at least so many runs from the start of the list, unless there are fewer. */
export async function readFirst(
  filters: Filters,
  namespace: string,
  wanted: number,
  signal: AbortSignal,
): Promise<Loaded> {
  let loaded = await readPage(filters, namespace, Math.min(wanted, PAGE), null, signal);
  while (loaded.runs.length < wanted && loaded.hasMore) {
    const next = await readPage(filters, namespace, PAGE, loaded.cursor, signal);
    loaded = { ...next, runs: [...loaded.runs, ...next.runs] };
  }
  return loaded;
}

/** Reads the page of at most `limit` runs after a cursor, or from the start of the list. */
export async function readPage(
  filters: Filters,
  namespace: string,
  limit: number,
  after: string | null,
  signal?: AbortSignal,
): Promise<Loaded> {
  const variables = { ...toVariables(filters, Date.now()), limit, after };
  const answer = (await send(ListRuns, variables, namespace, signal)).backgroundTasks?.listTasks;
  const runs = dataOf(answer);
  const meta = answer?.meta;
  if (!meta) throw new RequestError({ kind: 'refused', message: 'The answer has no page.', code: 'empty' });
  return { runs, cursor: meta.cursor, hasMore: meta.hasMoreItems };
}
