import { Store, useStore } from '../api/store';
import { absolute, duration, parsed, relative } from './format';
import { useNow } from './now';

export type Zone = 'relative' | 'local' | 'utc';

const KEY = 'podrelay.times';

function remembered(): Zone {
  const kept = localStorage.getItem(KEY);
  return kept === 'local' || kept === 'utc' ? kept : 'relative';
}

export const zone = new Store<Zone>(remembered());

export function setZone(value: Zone): void {
  localStorage.setItem(KEY, value);
  zone.set(value);
}

/** A moment, in the form that the reader has chosen; the others are in its tooltip. */
export function Time({ at }: { at: string | null | undefined }) {
  const shown = useStore(zone);
  const ms = parsed(at);
  if (ms === undefined) return <span className="absent">–</span>;
  const title = `${absolute(ms, 'local')} (${absolute(ms, 'utc')} UTC)`;
  return (
    <time dateTime={at ?? undefined} title={title} className="number">
      {shown === 'relative' ? <Ago ms={ms} /> : shown === 'utc' ? `${absolute(ms, 'utc')}Z` : absolute(ms, 'local')}
    </time>
  );
}

function Ago({ ms }: { ms: number }) {
  return relative(ms, useNow());
}

/** How long something took, or takes until now. */
export function Elapsed({ from, to }: { from: string | null | undefined; to: string | null | undefined }) {
  const begin = parsed(from);
  const end = parsed(to);
  if (begin === undefined) return <span className="absent">–</span>;
  return <span className="number">{end === undefined ? <Running begin={begin} /> : duration(end - begin)}</span>;
}

function Running({ begin }: { begin: number }) {
  const passed = useNow() - begin;
  // Whole seconds, so that it ticks; a clock that is behind that of the cluster shows none.
  if (passed < 1000) return '0 s';
  return duration(passed < 60_000 ? Math.floor(passed / 1000) * 1000 : passed);
}
