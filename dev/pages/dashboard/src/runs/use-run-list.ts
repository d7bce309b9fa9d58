import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'react';
import { epoch as connections } from '../api/connection';
import { useSubscription } from '../api/live';
import { type Problem, problemOfThrown } from '../api/problems';
import { session } from '../api/session';
import { useStore } from '../api/store';
import { RunsUpdated } from './documents';
import { type Filters, toVariables } from './filters';
import { EMPTY, type LiveList, reduce, type Update } from './live-list';
import { PAGE, readFirst, readPage } from './pages';

const FIRST_PAGE = 50;
/** After a new connection, at most so many rows are read again; the rest is read when it is scrolled to. */
const MOST_AGAIN = 500;
/** Changes are shown together, this often. */
const FLUSH_MS = 200;
const RETRY_MS = 5_000;
/** A further page is asked for again ever later, up to so many times as late. */
const MOST_BACKOFF = 12;
/** The next page is asked for when fewer rows than this are left to scroll to. */
const NEAR_END = 30;

export interface RunList {
  list: LiveList;
  problem: Problem | undefined;
  isLoading: boolean;
  /** The gateway receives no changes at the moment. */
  isStale: boolean;
  /** Takes the place of the last row in the document: the next page is read when it is near the end. */
  onShown: (last: number) => void;
  showWaiting: () => void;
  reload: () => void;
}

/**
 * Follows the runs that match the filters.
 *
 * @param isAtTop whether new runs may be shown at once, because nothing would move under the reader.
 */
export function useRunList(filters: Filters, namespace: string, isAtTop: () => boolean): RunList {
  const [list, dispatch] = useReducer(reduce, EMPTY);
  const [problem, setProblem] = useState<Problem>();
  const [isReading, setIsReading] = useState(false);
  const [further, setFurther] = useState<'idle' | 'reading' | 'refused'>('idle');
  const [round, setRound] = useState(0);
  const [isStale, setIsStale] = useState(false);
  const epoch = useStore(connections);
  const user = useStore(session);
  const latest = useRef({ filters, list, isAtTop, isReading, further });
  latest.current = { filters, list, isAtTop, isReading, further };
  // Columns change nothing of what is read.
  const key = JSON.stringify([namespace, { ...filters, columns: [] }]);
  const shownKey = useRef('');

  const tryAgain = useCallback(() => setFurther((state) => (state === 'refused' ? 'idle' : state)), []);

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
    setIsReading(true);
    readFirst(latest.current.filters, namespace, wanted, signal)
      .then(
        (loaded) => {
          if (signal.aborted || number < reads.current.shown) return;
          reads.current.shown = number;
          dispatch({ type: 'page', ...loaded, after: null });
          setProblem(undefined);
          tryAgain();
        },
        (thrown) => {
          if (signal.aborted || number < reads.current.sent) return;
          const found = problemOfThrown(thrown);
          setProblem(found);
          if (found.kind === 'unreachable') retry = setTimeout(() => setRound((count) => count + 1), RETRY_MS);
        },
      )
      .finally(() => {
        if (!signal.aborted && number === reads.current.sent) setIsReading(false);
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

  const shown = useRef(0);
  const refusals = useRef(0);
  const readFurther = useCallback(() => {
    const { list: current, filters: asked, isReading: isBusy, further: state } = latest.current;
    const { cursor, hasMore, rows } = current;
    if (isBusy || state !== 'idle' || !hasMore || cursor === null || shown.current < rows.length - NEAR_END) return;
    const { signal } = aborted.current;
    const number = reads.current.sent;
    latest.current.further = 'reading';
    setFurther('reading');
    readPage(asked, namespace, PAGE, cursor, signal).then(
      (loaded) => {
        setFurther('idle');
        // If the list has been read again since, this page may be older than what has changed in the meantime.
        if (signal.aborted || number !== reads.current.sent) return;
        dispatch({ type: 'page', ...loaded, after: cursor });
        if (refusals.current) setProblem(undefined);
        refusals.current = 0;
      },
      (thrown) => {
        setFurther(signal.aborted ? 'idle' : 'refused');
        if (signal.aborted) return;
        const found = problemOfThrown(thrown);
        setProblem(found);
        if (found.kind === 'unreachable')
          setTimeout(tryAgain, RETRY_MS * Math.min(2 ** refusals.current, MOST_BACKOFF));
        refusals.current++;
      },
    );
  }, [namespace, tryAgain]);
  // Scrolling asks for more, and so does all that may have kept a page from being asked for, or used, in the meantime.
  // biome-ignore lint/correctness/useExhaustiveDependencies: these are what it reads of the newest state.
  useEffect(readFurther, [readFurther, list, isReading, further]);
  const onShown = useCallback(
    (last: number) => {
      shown.current = last;
      readFurther();
    },
    [readFurther],
  );

  const showWaiting = useCallback(() => dispatch({ type: 'show', sort: latest.current.filters.sort }), []);
  const reload = useCallback(() => setRound((number) => number + 1), []);
  const isLoading = isReading || further === 'reading';
  return { list, problem, isLoading, isStale, onShown, showWaiting, reload };
}
