import { Store } from './store';

/**
 * How current the page is.
 *
 * `live`: changes arrive. `connecting`: not yet. `cut`: they did, and do not any more.
 * `seenAt`: when the gateway was last heard of, in milliseconds. `staleSeconds`: for how long the gateway itself may
 * have missed changes, because the API server does not answer it.
 * `epoch` grows with each new connection; what shows data then reads it again.
 */
export interface Connection {
  state: 'connecting' | 'live' | 'cut';
  seenAt: number;
  staleSeconds: number;
  epoch: number;
}

export const connection = new Store<Connection>({ state: 'connecting', seenAt: Date.now(), staleSeconds: 0, epoch: 0 });

export function heard(staleSeconds?: number): void {
  const current = connection.get();
  const stale = staleSeconds ?? current.staleSeconds;
  // Only a change of what is shown is worth an update of all who follow it.
  if (current.state !== 'cut' && Date.now() - current.seenAt < 1000 && stale === current.staleSeconds) return;
  connection.set({ ...current, seenAt: Date.now(), staleSeconds: stale });
}

export function connected(): void {
  const current = connection.get();
  connection.set({ ...current, state: 'live', seenAt: Date.now(), epoch: current.epoch + 1 });
}

export function cut(): void {
  const current = connection.get();
  if (current.state !== 'cut') connection.set({ ...current, state: current.epoch ? 'cut' : 'connecting' });
}
