import { useEffect, useState } from 'react';
import { useSubscription } from '../api/live';
import { type Problem, problemOf } from '../api/problems';
import { useQuery } from '../api/use-query';
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
  const answer = query.data?.backgroundTasks?.getTask;
  useEffect(() => {
    if (!answer) return;
    if (answer.data) {
      setRun(answer.data);
      setIsDeleted(false);
    } else if (!answer.error) {
      // It was there before, and is not any more: it was deleted while the page heard nothing.
      setIsDeleted((before) => before || run !== undefined);
    }
  }, [answer, run]);
  const isMissing = answer?.data === null && !answer.error && run === undefined;
  useSubscription(RunUpdated, isMissing ? null : { id: name }, namespace, {
    onData: ({ taskUpdated: { type, task } }) => {
      if (task) setRun(task);
      setIsDeleted(type === 'DELETED');
    },
  });
  const problem = query.problem ?? (answer?.error && !run ? problemOf(answer.error) : undefined);
  return { run, isDeleted, isMissing, problem, refetch: query.refetch };
}

export function isFinished(run: Pick<RunDetail, 'phase'>): boolean {
  return run.phase === 'Succeeded' || run.phase === 'Failed' || run.phase === 'Aborted';
}
