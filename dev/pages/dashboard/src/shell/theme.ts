import { Store } from '../api/store';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'podrelay.theme';

function remembered(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export const theme = new Store<Theme>(remembered());

export function setTheme(value: Theme): void {
  localStorage.setItem(KEY, value);
  theme.set(value);
  show();
}

function show(): void {
  const value = theme.get();
  if (value === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = value;
}

show();
