import { print } from '@0no-co/graphql.web';
import { connection, cut, heard } from './connection';
import type { TadaDocumentNode } from './graphql';
import { NOT_AUTHENTICATED, problemOf, RequestError } from './problems';
import { authorization, isExpired, open, session, signOut, storedToken } from './session';

const URL = '/graphql';
const STALE = 'X-Podrelay-Stale';
const READ_AFTER = 'X-Podrelay-Read-After';
const READ_AFTER_MS = 30_000;
const MOST_READ_AFTER = 20;
const RESUME_MS = 10_000;
const STALE_MS = 5_000;

interface Body {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
  extensions?: { readAfter?: string };
}

const texts = new WeakMap<object, string>();
/** Own writes of the last seconds: another replica of the gateway catches up with them before it answers. */
let written: { value: string; at: number }[] = [];

/** Returns the text of a document. The gateway keeps parsed documents by their text, so it is always the same. */
export function textOf(document: TadaDocumentNode<unknown, never>): string {
  const known = texts.get(document);
  if (known !== undefined) return known;
  // biome-ignore lint/suspicious/noExplicitAny: the two packages have two types for the same tree.
  const text = print(document as any);
  texts.set(document, text);
  return text;
}

/**
 * Sends a query or a mutation in a namespace, and returns its data.
 *
 * @throws RequestError the gateway cannot be reached, or refuses the request as a whole.
 */
export async function send<Data, Variables>(
  document: TadaDocumentNode<Data, Variables>,
  variables: Variables,
  namespace: string,
  signal?: AbortSignal,
): Promise<Data> {
  const body = JSON.stringify({ query: textOf(document), variables });
  const answer = await post(body, { ...authorization(), ...namespaceHeader(namespace), ...readAfter() }, signal);
  const [error] = answer.errors ?? [];
  if (answer.extensions?.readAfter) written.push({ value: answer.extensions.readAfter, at: Date.now() });
  if (error && answer.data == null) {
    throw new RequestError(problemOf({ message: error.message, code: error.extensions?.code ?? 'GraphQL' }));
  }
  return answer.data as Data;
}

/** Finds out whether the gateway needs a token, and whether the one that this tab remembers is accepted. */
export async function begin(): Promise<void> {
  const token = storedToken();
  session.set({ kind: 'checking' });
  if (await isAccepted(token)) open(token);
  else signOut(token !== null);
}

/** Tries a token; returns whether it is accepted, and then uses it. */
export async function signIn(token: string): Promise<boolean> {
  if (!(await isAccepted(token))) return false;
  open(token);
  return true;
}

/** Tries whether requests without a token are accepted again, as a proxy that signs users in makes them. */
export async function resume(): Promise<boolean> {
  if (!(await isAccepted(null))) return false;
  open(null);
  return true;
}

let resumedAt = Number.NEGATIVE_INFINITY;
let resuming: ReturnType<typeof setTimeout> | undefined;

/**
 * A connection was refused for its token.
 *
 * A proxy that signs users in may have another token for the next connection: then the user has to do nothing.
 */
export function refused(): void {
  if (session.get().kind !== 'none') {
    isExpired.set(true);
    return;
  }
  if (resuming !== undefined) return;
  const wait = Math.max(0, resumedAt + RESUME_MS - Date.now());
  if (wait) cut(); // The last attempt has led to the same.
  resuming = setTimeout(() => {
    resuming = undefined;
    resumedAt = Date.now();
    resume().catch(() => isExpired.set(true));
  }, wait);
}

/** Finds out by a small request whether the gateway answers, accepts its user, and is current. */
export async function probe(): Promise<void> {
  try {
    await post(JSON.stringify({ query: '{ __typename }' }), authorization());
  } catch {
    // What it means has been noted already.
  }
}

let asking: ReturnType<typeof setTimeout> | undefined;

// While the gateway misses changes, it is asked whether it still does: a page may have no other reason to ask.
connection.subscribe(() => {
  if (connection.get().staleSeconds === 0 || asking !== undefined) return;
  asking = setTimeout(() => {
    asking = undefined;
    void probe().finally(() => connection.set({ ...connection.get() })); // asks again unless it is current
  }, STALE_MS);
});

async function isAccepted(token: string | null): Promise<boolean> {
  const headers: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    await post(JSON.stringify({ query: '{ __typename }' }), headers);
    return true;
  } catch (thrown) {
    if (thrown instanceof RequestError && thrown.problem.kind === 'signed-out') return false;
    throw thrown;
  }
}

async function post(body: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Body> {
  let response: Response;
  try {
    response = await fetch(URL, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json', ...headers },
      // A proxy in front of the gateway may know the user by its cookie.
      credentials: 'same-origin',
      redirect: 'error',
      ...(signal ? { signal } : {}),
    });
  } catch (thrown) {
    if (signal?.aborted) throw thrown;
    cut();
    throw new RequestError({ kind: 'unreachable', message: 'The gateway does not answer.' });
  }
  if (response.status === 401) {
    if (session.get().kind === 'token' || session.get().kind === 'none') isExpired.set(true);
    throw new RequestError({ kind: 'signed-out' });
  }
  const answer = await read(response);
  if (response.status === 503) {
    const message = answer.errors?.[0]?.message ?? 'The gateway is not ready.';
    throw new RequestError({ kind: 'unreachable', message });
  }
  heard(Number(response.headers.get(STALE) ?? 0));
  if (!response.ok && answer.data === undefined) {
    const [error] = answer.errors ?? [];
    const fallback = response.status === 403 ? 'BackgroundTasks/NotAuthorized' : String(response.status);
    const code = error?.extensions?.code ?? fallback;
    throw new RequestError(problemOf({ message: error?.message ?? response.statusText, code }));
  }
  if (answer.errors?.some((error) => error.extensions?.code === NOT_AUTHENTICATED)) {
    isExpired.set(true);
    throw new RequestError({ kind: 'signed-out' });
  }
  return answer;
}

async function read(response: Response): Promise<Body> {
  try {
    return (await response.json()) as Body;
  } catch {
    const message = `The answer is not that of a gateway (status ${response.status}): is a proxy in front of it?`;
    throw new RequestError({ kind: 'unreachable', message });
  }
}

function namespaceHeader(namespace: string): Record<string, string> {
  return namespace ? { 'X-Podrelay-Namespace': namespace } : {};
}

function readAfter(): Record<string, string> {
  written = written.filter(({ at }) => Date.now() - at < READ_AFTER_MS).slice(-MOST_READ_AFTER);
  return written.length ? { [READ_AFTER]: written.map(({ value }) => value).join(',') } : {};
}
