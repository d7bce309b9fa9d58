import { useState } from 'react';
import { useSubscription } from '../api/live';
import { useThrottled } from '../run/use-throttled';
import { RunsUpdated } from './documents';

const EVERY_MS = 2_000;

/**
 * Returns a number that grows when runs change, at most every two seconds: what depends on them is read again.
 *
 * @param where the runs of a definition or of a schedule; without it those of the namespace.
 */
export function useChanges(
  namespace: string,
  where: { definitionId: string } | { scheduleId: string } | null = null,
): number {
  const [changes, setChanges] = useState(0);
  useSubscription(RunsUpdated, { where, search: null }, namespace, {
    onData: () => setChanges((number) => number + 1),
  });
  return useThrottled(changes, EVERY_MS);
}
