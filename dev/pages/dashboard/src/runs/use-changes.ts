import { useState } from 'react';
import { useSubscription } from '../api/live';
import { useThrottled } from '../run/use-throttled';
import { RunsUpdated } from './documents';

const EVERY_MS = 2_000;

/** Returns a number that grows when runs of a namespace change, at most every two seconds: what depends on them is read again. */
export function useChanges(namespace: string, definitionId?: string): number {
  const [changes, setChanges] = useState(0);
  useSubscription(RunsUpdated, { where: definitionId ? { definitionId } : null, search: null }, namespace, {
    onData: () => setChanges((number) => number + 1),
  });
  return useThrottled(changes, EVERY_MS);
}
