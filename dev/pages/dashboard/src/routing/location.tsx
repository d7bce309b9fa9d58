import type { AnchorHTMLAttributes, MouseEvent, ReactNode } from 'react';
import { useSyncExternalStore } from 'react';

/** The address of the page is its state: path and query say what is shown. */
const listeners = new Set<() => void>();

function notify(): void {
  for (const listener of [...listeners]) listener();
}

addEventListener('popstate', notify);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  if (to === current()) return;
  if (how === 'push') {
    const isOtherPage = new URL(to, location.href).pathname !== location.pathname;
    history.pushState(null, '', to);
    if (isOtherPage) scrollTo(0, 0);
  } else {
    history.replaceState(null, '', to);
  }
  notify();
}

function current(): string {
  return location.pathname + location.search;
}

export interface Address {
  path: string;
  search: URLSearchParams;
}

let last: { text: string; address: Address } | undefined;

function snapshot(): Address {
  const text = current();
  if (last?.text !== text)
    last = { text, address: { path: location.pathname, search: new URLSearchParams(location.search) } };
  return last.address;
}

export function useAddress(): Address {
  return useSyncExternalStore(subscribe, snapshot);
}

/** Returns the address of this view with other values in its query; null removes a value. */
export function withSearch(address: Address, values: Record<string, string | null>): string {
  const search = new URLSearchParams(address.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null) search.delete(name);
    else search.set(name, value);
  }
  return join(address.path, search);
}

export function join(path: string, search: URLSearchParams): string {
  const query = search.toString().replaceAll('%3A', ':').replaceAll('%2C', ',').replaceAll('%2F', '/');
  return query ? `${path}?${query}` : path;
}

interface LinkProps extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'href'> {
  to: string;
  children: ReactNode;
}

/** A link within the dashboard. It is a real one: it can be copied, and opened in another tab. */
export function Link({ to, children, onClick, ...rest }: LinkProps) {
  function follow(event: MouseEvent<HTMLAnchorElement>): void {
    onClick?.(event);
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    event.preventDefault();
    navigate(to);
  }
  return (
    <a {...rest} href={to} onClick={follow}>
      {children}
    </a>
  );
}
