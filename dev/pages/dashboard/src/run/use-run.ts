import { useEffect, useRef, useState } from 'react';
import { useSubscription } from '../api/live';
import { type Problem, problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { isNewer } from '../runs/live-list';
import { GetRun, type RunDetail, RunUpdated } from './documents';

export interface FollowedRun {
  run: RunDetail | undefined;
  /** It was deleted while it was shown; `run` is its last state. */
  isDeleted: boolean;
  isMissing: boolean;
  problem: Problem | undefined;
  refetch: () => void;
}

/** Follows one run. */
export function useRun(namespace: string, name: string): FollowedRun {
  const query = useQuery(GetRun, { id: name }, namespace);
  const [run, setRun] = useState<RunDetail>();
  const [isDeleted, setIsDeleted] = useState(false);
  const isKnown = useRef(false);
  isKnown.current = run !== undefined;
  const answer = query.data?.backgroundTasks?.getTask;
  useEffect(() => {
    const { data, error } = answer ?? {};
    if (data) {
      // The subscription may have said more since this was asked for; a run that was created again is another one.
      setRun((before) => (before?.uid === data.uid && isNewer(before, data) ? before : data));
      setIsDeleted(false);
    } else if (answer && !error && isKnown.current) {
      // It does not exist any longer: it was deleted while the page heard nothing.
      setIsDeleted(true);
    }
  }, [answer]);
  const isMissing = answer?.data === null && !answer.error && run === undefined;
  useSubscription(RunUpdated, isMissing ? null : { id: name }, namespace, {
    onData: ({ taskUpdated: { type, task } }) => {
      if (task) setRun(task);
      setIsDeleted(type === 'DELETED');
    },
  });
  return { run, isDeleted, isMissing, problem: problemIn(query, answer), refetch: query.refetch };
}

export function isFinished(run: Pick<RunDetail, 'phase'>): boolean {
  return run.phase === 'Succeeded' || run.phase === 'Failed' || run.phase === 'Aborted';
}
