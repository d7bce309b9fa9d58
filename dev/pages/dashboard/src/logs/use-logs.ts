import { useEffect, useRef, useState } from 'react';
import { useSubscription } from '../api/live';
import type { Problem } from '../api/problems';
import { FollowLogs, type LogLine } from '../run/documents';
import { type Line, LogLines } from './lines';

/** Lines are shown together, this often. */
const FLUSH_MS = 150;

export interface FollowedLogs {
  lines: readonly Line[];
  /** Grows with each change of `lines`, which is the same list all the time. */
  version: number;
  hasEnded: boolean;
  problem: Problem | undefined;
}

/** Follows the logs and the output of a run, from the first line. */
export function useLogs(namespace: string, name: string, isDeleted: boolean): FollowedLogs {
  const [store] = useState(() => new LogLines());
  const [version, setVersion] = useState(0);
  const [hasEnded, setHasEnded] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const waiting = useRef<LogLine[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useSubscription(FollowLogs, isDeleted ? null : { id: name }, namespace, {
    onData: ({ taskLogs }) => {
      waiting.current.push(taskLogs);
      setHasEnded(false);
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        store.add(waiting.current);
        waiting.current = [];
        setVersion((number) => number + 1);
      }, FLUSH_MS);
    },
    onEnd: () => setHasEnded(true),
    onProblem: setProblem,
  });
  return { lines: store.lines, version, hasEnded, problem };
}
