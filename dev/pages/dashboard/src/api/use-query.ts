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
  number: number;
  data?: Data;
  problem?: Problem;
}

const QUIET_MS = 5_000;

function newer<Data>(before: Kept<Data>, after: Kept<Data>): Kept<Data> {
  return after.number > before.number ? after : before;
}

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
  const [kept, setKept] = useState<Kept<Data>>({ key: '', number: 0 });
  const [loading, setLoading] = useState('');
  const [round, setRound] = useState(0);
  const latest = useRef(variables);
  latest.current = variables;
  const aborted = useRef(new AbortController());
  const sent = useRef(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: an answer for anything else is not wanted any more.
  useEffect(() => {
    aborted.current = new AbortController();
    return () => aborted.current.abort();
  }, [document, key, namespace, user]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: round, epoch and version ask for the same data again.
  useEffect(() => {
    const asked = latest.current;
    if (key === null || asked === null || (user.kind !== 'token' && user.kind !== 'none')) return;
    // What is being read already is shown until it is read again: the first connection comes a moment after the page.
    const { signal } = aborted.current;
    const number = ++sent.current;
    let retry: ReturnType<typeof setTimeout> | undefined;
    setLoading(key);
    send(document, asked, namespace, signal)
      .then(
        (data) => setKept((before) => newer(before, { key, number, data })),
        (thrown) => {
          if (signal.aborted) return;
          const problem = problemOfThrown(thrown);
          setKept((before) => newer(before, { ...(before.key === key ? before : {}), key, number, problem }));
          if (problem.kind === 'unreachable' && number === sent.current) {
            retry = setTimeout(() => setRound((count) => count + 1), QUIET_MS);
          }
        },
      )
      .finally(() => {
        if (!signal.aborted && number === sent.current) setLoading('');
      });
    return () => clearTimeout(retry);
  }, [document, key, namespace, user, epoch, round, version]);

  const refetch = useCallback(() => setRound((number) => number + 1), []);
  const own = kept.key === key ? kept : undefined;
  return { data: own?.data, problem: own?.problem, isLoading: loading === key && key !== null, refetch };
}
