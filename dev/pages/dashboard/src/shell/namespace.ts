import { Store } from '../api/store';
import { defaultNamespace } from './environment';

const KEY = 'podrelay.namespaces';
const MOST = 8;

/** The namespaces that were shown last, newest first. */
export const recentNamespaces = new Store<readonly string[]>(remembered());

function remembered(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(kept) ? kept.filter((name) => typeof name === 'string').slice(0, MOST) : [];
  } catch {
    return [];
  }
}

export function remember(namespace: string): void {
  if (recentNamespaces.get()[0] === namespace) return;
  const next = [namespace, ...recentNamespaces.get().filter((name) => name !== namespace)].slice(0, MOST);
  recentNamespaces.set(next);
  localStorage.setItem(KEY, JSON.stringify(next));
}

/** Returns the namespace that an address without one means: the last one, or that of the gateway. */
export function fallbackNamespace(): string {
  return recentNamespaces.get()[0] ?? defaultNamespace;
}
