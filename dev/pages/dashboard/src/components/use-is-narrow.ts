import { useSyncExternalStore } from 'react';

/** The width at which the style sheets change, too. */
const narrow = matchMedia('(max-width: 720px)');

export function useIsNarrow(): boolean {
  return useSyncExternalStore(subscribe, () => narrow.matches);
}

function subscribe(listener: () => void): () => void {
  narrow.addEventListener('change', listener);
  return () => narrow.removeEventListener('change', listener);
}
