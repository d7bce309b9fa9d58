import { useState } from 'react';
import { graphql } from '../api/graphql';
import { useSubscription } from '../api/live';
import { useQuery } from '../api/use-query';
import { useThrottled } from '../run/use-throttled';
import { CountWaiting } from './documents';

const LIST_MS = 500;
/** The number is on every page, and counting reads all unfinished runs. */
const COUNT_MS = 2_000;

/** Of runs that wait, or have waited before the change. */
const WaitingUpdated = graphql(`
  subscription WaitingUpdated {
    taskUpdated(where: { reason: "WaitingForSignal" }, announce: true) { type }
  }
`);

/** Returns a number that grows when a run begins to wait, gets a decision or signal, or no longer waits. */
export function useWaitingChanges(namespace: string, everyMs = LIST_MS): number {
  const [changes, setChanges] = useState(0);
  useSubscription(WaitingUpdated, {}, namespace, { onData: () => setChanges((number) => number + 1) });
  return useThrottled(changes, everyMs);
}

/** Returns how many runs wait for something that the user may send; 0 if that is not known. */
export function useWaitingCount(namespace: string): number {
  const query = useQuery(CountWaiting, {}, namespace, useWaitingChanges(namespace, COUNT_MS));
  return query.data?.backgroundTasks?.listWaiting.meta?.totalCount ?? 0;
}
