import type { ReactNode } from 'react';
import { Store, useStore } from '../api/store';
import { IconButton } from './Button';
import { CloseSign } from './icons';

interface Toast {
  id: number;
  tone: 'good' | 'bad';
  text: ReactNode;
}

const SHOWN_MS = 8_000;
const toasts = new Store<readonly Toast[]>([]);
let last = 0;

/** Shows the outcome of something that the user did, wherever the page is then. A failure stays until it is closed. */
export function say(text: ReactNode, tone: Toast['tone'] = 'good'): void {
  last += 1;
  const id = last;
  toasts.set([...toasts.get().slice(-3), { id, tone, text }]);
  if (tone === 'good') setTimeout(() => close(id), SHOWN_MS);
}

function close(id: number): void {
  toasts.set(toasts.get().filter((toast) => toast.id !== id));
}

export function Toasts() {
  return (
    <div className="toasts" role="status">
      {useStore(toasts).map(({ id, tone, text }) => (
        <div key={id} className={`toast tone-${tone}`}>
          <span>{text}</span>
          <IconButton label="Close the message" onClick={() => close(id)}>
            <CloseSign />
          </IconButton>
        </div>
      ))}
    </div>
  );
}
