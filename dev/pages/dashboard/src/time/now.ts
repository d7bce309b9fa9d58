import { Store, useStore } from '../api/store';

/** The time of now, once a second while something shows it and the tab is visible. */
const now = new Store(Date.now());
let users = 0;
let timer: ReturnType<typeof setInterval> | undefined;

const ticking = {
  get: now.get,
  subscribe(listener: () => void): () => void {
    // While nothing showed it, it stood still.
    if (users === 0) now.set(Date.now());
    users += 1;
    timer ??= setInterval(() => {
      if (!document.hidden) now.set(Date.now());
    }, 1000);
    const stop = now.subscribe(listener);
    return () => {
      stop();
      users -= 1;
      if (users === 0) {
        clearInterval(timer);
        timer = undefined;
      }
    };
  },
} as Store<number>;

export function useNow(): number {
  return useStore(ticking);
}
