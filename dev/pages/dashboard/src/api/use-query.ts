import { useCallback, useEffect, useRef, useState } from 'react';
import { epoch as connections } from './connection';
import type { TadaDocumentNode } from './graphql';
import { send } from './http';
import { type Problem, problemOfThrown } from './problems';
import { session } from './session';
import { useStore } from './store';

export interface Query<Data> {
  data: Data | undefined;
  problem: Problem | undefined;
  isLoading: boolean;
  refetch: () => void;
}

interface Kept<Data> {
  key: string;
  data?: Data;
  problem?: Problem;
}

const QUIET_MS = 5_000;

/**
 * Reads something while the component is shown, and again after each new connection.
 *
 * Data stays while it is read again; it never stays for other variables. While the gateway cannot be reached, a query
 * is repeated.
 *
 * @param version what the data depends on in addition; it is read again when this changes.
 */
export function useQuery<Data, Variables>(
  document: TadaDocumentNode<Data, Variables>,
  variables: Variables | null,
  namespace: string,
  version?: unknown,
): Query<Data> {
  const key = variables === null ? null : `${namespace} ${JSON.stringify(variables)}`;
  const epoch = useStore(connections);
  const user = useStore(session);
  const [kept, setKept] = useState<Kept<Data>>({ key: '' });
  const [loading, setLoading] = useState('');
  const [round, setRound] = useState(0);
  const latest = useRef(variables);
  latest.current = variables;

  // biome-ignore lint/correctness/useExhaustiveDependencies: round, epoch and version ask for the same data again.
  useEffect(() => {
    const asked = latest.current;
    if (key === null || asked === null || (user.kind !== 'token' && user.kind !== 'none')) return;
    const controller = new AbortController();
    let retry: ReturnType<typeof setTimeout> | undefined;
    setLoading(key);
    send(document, asked, namespace, controller.signal)
      .then(
        (data) => setKept({ key, data }),
        (thrown) => {
          if (controller.signal.aborted) return;
          const problem = problemOfThrown(thrown);
          setKept((before) => (before.key === key ? { ...before, problem } : { key, problem }));
          if (problem.kind === 'unreachable') retry = setTimeout(() => setRound((number) => number + 1), QUIET_MS);
        },
      )
      .finally(() => {
        if (!controller.signal.aborted) setLoading('');
      });
    return () => {
      controller.abort();
      clearTimeout(retry);
    };
  }, [document, key, namespace, user, epoch, round, version]);

  const refetch = useCallback(() => setRound((number) => number + 1), []);
  const own = kept.key === key ? kept : undefined;
  return { data: own?.data, problem: own?.problem, isLoading: loading === key && key !== null, refetch };
}
