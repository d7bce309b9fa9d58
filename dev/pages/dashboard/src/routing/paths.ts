/** The addresses of the views. The gateway serves the page at each of these forms. */

export const ALL_NAMESPACES = '*';

export function runPath(namespace: string, name: string, search: Record<string, string> = {}): string {
  return `/runs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}${query(search)}`;
}

export function definitionPath(namespace: string, id: string): string {
  return `/definitions/${encodeURIComponent(namespace)}/${encodeURIComponent(id)}`;
}

export function schedulePath(namespace: string, name: string): string {
  return `/schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`;
}

export function triggerPath(namespace: string, definition: string, from?: string): string {
  return `/trigger/${encodeURIComponent(namespace)}/${encodeURIComponent(definition)}${query(from ? { from } : {})}`;
}

/** Returns the address of a view of one or all namespaces. */
export function namespacePath(
  view: '/' | '/runs' | '/inbox' | '/definitions' | '/schedules' | '/queue' | '/settings',
  namespace: string,
  search: Record<string, string> = {},
): string {
  return `${view}${query({ namespace, ...search })}`;
}

function query(values: Record<string, string>): string {
  const text = new URLSearchParams(values).toString();
  return text ? `?${text.replaceAll('%3A', ':').replaceAll('%2C', ',')}` : '';
}

/** Returns the id of a run without the namespace that it has in lists of all namespaces. */
export function nameOf(id: string): string {
  return id.slice(id.indexOf('/') + 1);
}

/** Returns the decoded segments of a path. */
export function segments(path: string): string[] {
  return path.split('/').filter(Boolean).map(decode);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
