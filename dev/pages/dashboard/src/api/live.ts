import { type Client, createClient } from 'graphql-ws';
import { useEffect, useRef, useState } from 'react';
import { connected, cut, followed, readAgain, received } from './connection';
import type { TadaDocumentNode } from './graphql';
import { probe, refused, textOf } from './http';
import { NOT_AUTHENTICATED, NOT_AUTHORIZED, type Problem, problemOf, UNAVAILABLE } from './problems';
import { authorization, session } from './session';
import { useStore } from './store';

const FORBIDDEN = 4403;
const TOO_MANY = 4429;
const PING_MS = 5_000;
const PONG_MS = 5_000;
/** When a subscription that was not allowed is tried again: the right may have been given back. */
const FORBIDDEN_MS = 10_000;
/** When a subscription is tried again that the API server could not decide on. */
const UNAVAILABLE_MS = 5_000;
const RETRY_MS = [250, 500, 1000, 2000, 4000];

/** One WebSocket for each namespace that is followed: the namespace is part of its first message. */
const clients = new Map<string, Client>();

function clientOf(namespace: string): Client {
  const known = clients.get(namespace);
  if (known) return known;
  const url = new URL('/graphql', location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  let unanswered: ReturnType<typeof setTimeout> | undefined;
  const client = createClient({
    url: url.href,
    connectionParams: () => ({ ...authorization(), ...(namespace ? { 'X-Podrelay-Namespace': namespace } : {}) }),
    keepAlive: PING_MS,
    retryAttempts: Number.POSITIVE_INFINITY,
    // A socket that was refused for its token is not tried again before there is another one.
    shouldRetry: (thrown) => !isRefused(thrown),
    retryWait: (retries) => waited(RETRY_MS[Math.min(retries, RETRY_MS.length - 1)] ?? 4000),
    on: {
      connected: () => connected(),
      message: () => received(),
      ping: (received) => {
        if (!received) unanswered = setTimeout(() => client.terminate(), PONG_MS);
      },
      pong: () => clearTimeout(unanswered),
      closed: (event) => {
        clearTimeout(unanswered);
        if (isRefused(event)) refused();
        // 1000 is the page itself: nothing on it follows this namespace any more.
        else if (!(event instanceof CloseEvent && event.code === 1000)) {
          cut();
          // A browser does not say why a socket cannot be opened: a proxy may no longer know the user.
          void probe();
        }
      },
    },
  });
  clients.set(namespace, client);
  return client;
}

// Another token means another user: no socket may outlive that. Components subscribe again after this.
session.subscribe(() => {
  // A socket that is being opened, and fails, fails here once more.
  for (const client of clients.values()) Promise.resolve(client.dispose()).catch(() => undefined);
  clients.clear();
});

// A browser that has lost its network says so at once, long before a ping is missed.
addEventListener('offline', () => {
  for (const client of clients.values()) client.terminate();
});

interface Handlers<Data> {
  onData: (data: Data) => void;
  onProblem?: (problem: Problem) => void;
  onEnd?: () => void;
}

/** Follows a subscription while the component is shown and `variables` is not null. */
export function useSubscription<Data, Variables>(
  document: TadaDocumentNode<Data, Variables>,
  variables: Variables | null,
  namespace: string,
  handlers: Handlers<Data>,
): void {
  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });
  const user = useStore(session);
  const key = variables === null ? null : JSON.stringify(variables);
  const [round, setRound] = useState(0);
  const isForbidden = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: round asks for the same subscription again.
  useEffect(() => {
    if (key === null || (user.kind !== 'token' && user.kind !== 'none')) return;
    let isCurrent = true;
    let retry: ReturnType<typeof setTimeout> | undefined;
    const stop = clientOf(namespace).subscribe<Data>(
      { query: textOf(document as TadaDocumentNode<unknown, never>), variables: JSON.parse(key) },
      {
        next: ({ data, errors }) => {
          if (!isCurrent) return;
          const [error] = errors ?? [];
          if (error) refuse(error.message, error.extensions?.['code']);
          else if (data) take(data);
        },
        error: (thrown) => {
          if (!isCurrent || isRefused(thrown)) return;
          const [error] = Array.isArray(thrown) ? thrown : [];
          if (error) refuse(error.message, error.extensions?.code);
          else cut();
        },
        complete: () => {
          if (isCurrent) latest.current.onEnd?.();
        },
      },
    );
    function take(data: Data): void {
      if (isForbidden.current) {
        isForbidden.current = false;
        readAgain();
      }
      latest.current.onData(data);
    }
    function refuse(message: string, code: unknown): void {
      if (code === NOT_AUTHENTICATED) {
        refused();
        return;
      }
      if (code === NOT_AUTHORIZED) {
        // What else is shown may need the same right, so all is read again once.
        if (!isForbidden.current) readAgain();
        isForbidden.current = true;
        retry = setTimeout(() => setRound((number) => number + 1), FORBIDDEN_MS);
      }
      if (code === UNAVAILABLE) {
        followed(true);
        retry = setTimeout(() => setRound((number) => number + 1), UNAVAILABLE_MS);
      }
      latest.current.onProblem?.(problemOf({ message, code: typeof code === 'string' ? code : 'GraphQL' }));
    }
    return () => {
      isCurrent = false;
      clearTimeout(retry);
      stop();
    };
  }, [document, key, namespace, user, round]);
}

function isRefused(thrown: unknown): boolean {
  return thrown instanceof CloseEvent && (thrown.code === FORBIDDEN || thrown.code === TOO_MANY);
}

function waited(ms: number): Promise<void> {
  const jitter = ms * 0.3 * Math.random();
  return new Promise((resolve) => setTimeout(resolve, ms + jitter));
}
