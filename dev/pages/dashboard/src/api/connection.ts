import { Store } from './store';

/**
 * How current the page is.
 *
 * `live`: changes arrive. `connecting`: not yet. `cut`: they did, and do not any more.
 * `seenAt`: when the gateway was last heard of, in milliseconds. `staleSeconds`: for how long the gateway itself may
 * have missed changes, because the API server does not answer it.
 */
export interface Connection {
  state: 'connecting' | 'live' | 'cut';
  seenAt: number;
  staleSeconds: number;
}

export const connection = new Store<Connection>({ state: 'connecting', seenAt: Date.now(), staleSeconds: 0 });

/** Grows with each new connection; what shows data then reads it again. */
export const epoch = new Store(0);

export function heard(staleSeconds?: number): void {
  const current = connection.get();
  const stale = staleSeconds ?? current.staleSeconds;
  // While changes arrive, the time is only needed when they stop: a second more or less makes no difference.
  if (current.state !== 'cut' && Date.now() - current.seenAt < 1000 && stale === current.staleSeconds) return;
  connection.set({ ...current, seenAt: Date.now(), staleSeconds: stale });
  if (current.staleSeconds > 0 && stale === 0) readAgain();
}

/** Notes that changes arrive. A request that failed may have said otherwise, though the socket stayed open. */
export function received(): void {
  const current = connection.get();
  if (current.state === 'cut') connection.set({ ...current, state: 'live', seenAt: Date.now() });
  else heard();
}

export function connected(): void {
  connection.set({ ...connection.get(), state: 'live', seenAt: Date.now() });
  epoch.set(epoch.get() + 1);
}

/** Reads everything again: what the user may see, or what the gateway knows, has changed. */
export function readAgain(): void {
  epoch.set(epoch.get() + 1);
}

/** Notes whether the gateway receives changes from the API server. */
export function followed(isStale: boolean): void {
  const current = connection.get();
  if (isStale) {
    if (current.staleSeconds === 0) connection.set({ ...current, staleSeconds: 1 });
    return;
  }
  if (current.staleSeconds === 0) return;
  connection.set({ ...current, staleSeconds: 0 });
  readAgain();
}

export function cut(): void {
  const current = connection.get();
  if (current.state !== 'cut') connection.set({ ...current, state: epoch.get() ? 'cut' : 'connecting' });
}
