import { useEffect, useRef, useState } from 'react';
import { connection } from '../api/connection';
import { useSubscription } from '../api/live';
import type { Problem } from '../api/problems';
import { FollowLogs, type LogLine } from '../run/documents';
import { type Line, LogLines } from './lines';

const FLUSH_MS = 150;
/** After a new connection, the stream begins again. It replaces what is shown once it has as much, or is quiet. */
const QUIET_MS = 600;

export interface FollowedLogs {
  lines: readonly Line[];
  /** Grows with each change of `lines`, which is the same list all the time. */
  version: number;
  hasEnded: boolean;
  problem: Problem | undefined;
}

/** Follows the logs and the output of a run, from the first line. */
export function useLogs(namespace: string, name: string, isDeleted: boolean): FollowedLogs {
  const [shown, setShown] = useState<{ store: LogLines; version: number }>(() => ({ store: new LogLines(), version: 0 }));
  const [hasEnded, setHasEnded] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const state = useRef({ store: shown.store, shown: shown.store, epoch: 0, waiting: [] as LogLine[], heardAt: 0 });
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);

  function flush(): void {
    timer.current = undefined;
    const own = state.current;
    own.store.add(own.waiting);
    own.waiting = [];
    const isWhole = own.store.lines.length >= own.shown.lines.length || Date.now() - own.heardAt >= QUIET_MS;
    if (own.store !== own.shown && !isWhole) {
      timer.current = setTimeout(flush, FLUSH_MS);
      return;
    }
    own.shown = own.store;
    setShown(({ version }) => ({ store: own.store, version: version + 1 }));
  }

  useSubscription(FollowLogs, isDeleted ? null : { id: name }, namespace, {
    onData: ({ taskLogs }) => {
      const own = state.current;
      const { epoch } = connection.get();
      if (own.epoch !== epoch) {
        own.epoch = epoch;
        own.waiting = [];
        if (own.shown.lines.length) own.store = new LogLines();
      }
      own.waiting.push(taskLogs);
      own.heardAt = Date.now();
      setHasEnded(false);
      timer.current ??= setTimeout(flush, FLUSH_MS);
    },
    onEnd: () => setHasEnded(true),
    onProblem: setProblem,
  });
  return { lines: shown.store.lines, version: shown.version, hasEnded, problem };
}
