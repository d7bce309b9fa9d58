import { useState } from 'react';
import { graphql } from '../api/graphql';
import { useSubscription } from '../api/live';
import { useQuery } from '../api/use-query';
import { useThrottled } from '../run/use-throttled';
import { CountWaiting } from './documents';

const EVERY_MS = 500;

/** Of runs that wait, or have waited before the change. */
const WaitingUpdated = graphql(`
  subscription WaitingUpdated {
    taskUpdated(where: { reason: "WaitingForSignal" }, announce: true) { type }
  }
`);

/** Returns a number that grows when a run begins to wait, gets a decision or signal, or waits no more. */
export function useWaitingChanges(namespace: string): number {
  const [changes, setChanges] = useState(0);
  useSubscription(WaitingUpdated, {}, namespace, { onData: () => setChanges((number) => number + 1) });
  return useThrottled(changes, EVERY_MS);
}

/** Returns how many runs wait for something that the user may send; 0 if that is not known. */
export function useWaitingCount(namespace: string): number {
  const query = useQuery(CountWaiting, {}, namespace, useWaitingChanges(namespace));
  return query.data?.backgroundTasks?.listWaiting.meta?.totalCount ?? 0;
}
