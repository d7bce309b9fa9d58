import { useState } from 'react';

/** Returns a key that stays the same while a form is shown: a click that is sent twice does one thing. */
export function useIdempotencyKey(): string {
  const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()));
  return key;
}
