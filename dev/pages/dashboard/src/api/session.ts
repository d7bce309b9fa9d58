import { Store } from './store';

/**
 * Who uses the page.
 *
 * `none` needs no token: the gateway runs with --auth=none, or a proxy in front of it sends one. A token stays in the
 * session storage of this tab, so that a reload keeps it and closing the tab forgets it.
 */
export type Session =
  | { kind: 'checking' }
  | { kind: 'signed-out'; wasRefused: boolean }
  | { kind: 'none' }
  | { kind: 'token'; token: string };

const KEY = 'podrelay.token';

export const session = new Store<Session>({ kind: 'checking' });

/** Whether the token in use was refused after it had been accepted: what is shown stays, with a form above it. */
export const isExpired = new Store(false);

export function storedToken(): string | null {
  return sessionStorage.getItem(KEY);
}

export function open(token: string | null): void {
  if (token) sessionStorage.setItem(KEY, token);
  session.set(token ? { kind: 'token', token } : { kind: 'none' });
  isExpired.set(false);
}

export function signOut(wasRefused = false): void {
  sessionStorage.removeItem(KEY);
  isExpired.set(false);
  session.set({ kind: 'signed-out', wasRefused });
}

/** Returns the header with the token, or no header. */
export function authorization(): Record<string, string> {
  const current = session.get();
  return current.kind === 'token' ? { Authorization: `Bearer ${current.token}` } : {};
}

/** Removes what a clipboard adds to a token: spaces, line breaks, and the word Bearer. */
export function cleanToken(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/^bearer /i, '')
    .replaceAll(' ', '');
}
