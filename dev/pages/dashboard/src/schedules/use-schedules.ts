import { useEffect, useState } from 'react';
import { useSubscription } from '../api/live';
import { type Problem, problemOf } from '../api/problems';
import { useQuery } from '../api/use-query';
import { useThrottled } from '../run/use-throttled';
import { GetSchedule, type ScheduleDetail, ScheduleUpdated } from './documents';

const EVERY_MS = 1_000;
const NOT_FOUND = 'BackgroundTasks/Schedule/NotFoundError';

/** Returns a number that grows when schedules change, at most once a second: what shows them is read again. */
export function useScheduleChanges(namespace: string, id: string | null = null): number {
  const [changes, setChanges] = useState(0);
  useSubscription(ScheduleUpdated, { id }, namespace, { onData: () => setChanges((number) => number + 1) });
  return useThrottled(changes, EVERY_MS);
}

export interface FollowedSchedule {
  schedule: ScheduleDetail | undefined;
  /** It was deleted while it was shown; `schedule` is its last state. */
  isDeleted: boolean;
  isMissing: boolean;
  problem: Problem | undefined;
  refetch: () => void;
}

/** Follows one schedule. */
export function useSchedule(namespace: string, name: string): FollowedSchedule {
  const version = useScheduleChanges(namespace, name);
  const query = useQuery(GetSchedule, { id: name }, namespace, version);
  const answer = query.data?.backgroundTasks?.getSchedule;
  const [last, setLast] = useState<ScheduleDetail>();
  useEffect(() => {
    if (answer?.data) setLast(answer.data);
  }, [answer]);
  const schedule = answer?.data ?? last;
  const isGone = answer?.error?.code === NOT_FOUND;
  const refused = answer?.error && !isGone ? problemOf(answer.error) : undefined;
  return {
    schedule,
    isDeleted: isGone && schedule !== undefined,
    isMissing: isGone && schedule === undefined,
    problem: query.problem ?? refused,
    refetch: query.refetch,
  };
}
