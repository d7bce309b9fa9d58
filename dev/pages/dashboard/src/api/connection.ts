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
}

export function connected(): void {
  connection.set({ ...connection.get(), state: 'live', seenAt: Date.now() });
  epoch.set(epoch.get() + 1);
}

export function cut(): void {
  const current = connection.get();
  if (current.state !== 'cut') connection.set({ ...current, state: epoch.get() ? 'cut' : 'connecting' });
}
