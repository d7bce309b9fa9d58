import { useEffect } from 'react';

/** Shows what the page is about in the title of the tab. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Podrelay`;
  }, [title]);
}
