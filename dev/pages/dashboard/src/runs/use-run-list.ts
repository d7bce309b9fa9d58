import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'react';
import { epoch as connections } from '../api/connection';
import { send } from '../api/http';
import { useSubscription } from '../api/live';
import { dataOf, type Problem, problemOfThrown, RequestError } from '../api/problems';
import { session } from '../api/session';
import { useStore } from '../api/store';
import { ListRuns, type Run, RunsUpdated } from './documents';
import { type Filters, toVariables } from './filters';
import { EMPTY, type LiveList, reduce, type Update } from './live-list';

const PAGE = 100;
const FIRST_PAGE = 50;
/** After a new connection, at most so many rows are read again; the rest is read when it is scrolled to. */
const MOST_AGAIN = 500;
/** Changes are shown together, this often. */
const FLUSH_MS = 200;
const RETRY_MS = 5_000;

export interface RunList {
  list: LiveList;
  problem: Problem | undefined;
  isLoading: boolean;
  /** The gateway receives no changes at the moment. */
  isStale: boolean;
  loadMore: () => void;
  showWaiting: () => void;
  reload: () => void;
}

interface Loaded {
  runs: Run[];
  cursor: string | null;
  hasMore: boolean;
}

/**
 * Follows the runs that match the filters.
 *
 * @param isAtTop whether new runs may be shown at once, because nothing would move under the reader.
 */
export function useRunList(filters: Filters, namespace: string, isAtTop: () => boolean): RunList {
  const [list, dispatch] = useReducer(reduce, EMPTY);
  const [problem, setProblem] = useState<Problem>();
  const [isLoading, setIsLoading] = useState(false);
  const [round, setRound] = useState(0);
  const [isStale, setIsStale] = useState(false);
  const epoch = useStore(connections);
  const user = useStore(session);
  const latest = useRef({ filters, list, isAtTop, isLoading });
  latest.current = { filters, list, isAtTop, isLoading };
  // Columns change nothing of what is read.
  const key = JSON.stringify([namespace, { ...filters, columns: [] }]);
  const shownKey = useRef('');

  const aborted = useRef(new AbortController());
  const reads = useRef({ sent: 0, shown: 0 });

  // biome-ignore lint/correctness/useExhaustiveDependencies: an answer for another list is not wanted any more.
  useEffect(() => {
    aborted.current = new AbortController();
    return () => aborted.current.abort();
  }, [key, namespace, user]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: epoch, round and user ask for the same list again.
  useEffect(() => {
    if (user.kind !== 'token' && user.kind !== 'none') return;
    // The page is read again once changes arrive, which is a moment after it was opened: its first rows do not wait.
    const { signal } = aborted.current;
    const number = ++reads.current.sent;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const isOther = shownKey.current !== key;
    shownKey.current = key;
    if (isOther) {
      dispatch({ type: 'begin' });
      setProblem(undefined);
    }
    const wanted = isOther ? FIRST_PAGE : Math.min(Math.max(latest.current.list.rows.length, FIRST_PAGE), MOST_AGAIN);
    setIsLoading(true);
    load(latest.current.filters, namespace, wanted, signal)
      .then(
        (loaded) => {
          if (signal.aborted || number < reads.current.shown) return;
          reads.current.shown = number;
          dispatch({ type: 'page', ...loaded, isFirst: true });
          setProblem(undefined);
        },
        (thrown) => {
          if (signal.aborted || number < reads.current.sent) return;
          const found = problemOfThrown(thrown);
          setProblem(found);
          if (found.kind === 'unreachable') retry = setTimeout(() => setRound((count) => count + 1), RETRY_MS);
        },
      )
      .finally(() => {
        if (!signal.aborted && number === reads.current.sent) setIsLoading(false);
      });
    return () => clearTimeout(retry);
  }, [key, namespace, epoch, round, user]);

  const queue = useRef<Update[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  // Where a range such as the last hour begins is fixed when the list is first read.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key has all that is read of the filters.
  const followed = useMemo(() => {
    const { where, search } = toVariables(filters, Date.now());
    return { where: where ?? null, search: search ?? null };
  }, [key]);
  useSubscription(RunsUpdated, followed, namespace, {
    onData: ({ taskUpdated: { type, id, matches, skipped, task } }) => {
      // From READY on, no change is missed. If the gateway had to leave changes out, the list is read again, too.
      if (type === 'READY' || skipped > 0) setRound((number) => number + 1);
      if (type === 'READY' || type === 'STALE') {
        setIsStale(type === 'STALE');
        return;
      }
      queue.current.push({ type, id, run: task, matches });
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        const updates = queue.current;
        queue.current = [];
        const { sort } = latest.current.filters;
        const showsNew = sort === 'createdOn_DESC' && latest.current.isAtTop();
        dispatch({ type: 'updates', updates, showsNew, sort });
      }, FLUSH_MS);
    },
    onProblem: setProblem,
  });

  const wantsMore = useRef(false);
  const loadMore = useCallback(() => {
    const { list: current, filters: asked, isLoading: isBusy } = latest.current;
    wantsMore.current = isBusy;
    if (isBusy || !current.hasMore || current.cursor === null) return;
    const askedKey = shownKey.current;
    setIsLoading(true);
    latest.current.isLoading = true;
    read(asked, namespace, PAGE, current.cursor)
      .then(
        (loaded) => {
          if (askedKey === shownKey.current) dispatch({ type: 'page', ...loaded, isFirst: false });
        },
        (thrown) => setProblem(problemOfThrown(thrown)),
      )
      .finally(() => setIsLoading(false));
  }, [namespace]);

  // The end of the list may have been reached while it was read again, after which nothing else would ask for more.
  useEffect(() => {
    if (!isLoading && wantsMore.current) loadMore();
  }, [isLoading, loadMore]);

  const showWaiting = useCallback(() => dispatch({ type: 'show', sort: latest.current.filters.sort }), []);
  const reload = useCallback(() => setRound((number) => number + 1), []);
  return { list, problem, isLoading, isStale, loadMore, showWaiting, reload };
}

async function load(filters: Filters, namespace: string, wanted: number, signal: AbortSignal): Promise<Loaded> {
  let loaded = await read(filters, namespace, Math.min(wanted, PAGE), null, signal);
  while (loaded.runs.length < wanted && loaded.hasMore) {
    const next = await read(filters, namespace, PAGE, loaded.cursor, signal);
    loaded = { ...next, runs: [...loaded.runs, ...next.runs] };
  }
  return loaded;
}

async function read(
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
