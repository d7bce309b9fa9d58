import { useState } from 'react';
import { Button } from '../components/Button';
import { Copy, download } from '../components/Copy';
import { DownloadSign } from '../components/icons';
import { plain } from '../components/text';
import { isObject, type Json } from './json';

const MOST_ENTRIES = 100;
const MOST_CHARACTERS = 500;
const MOST_LINES_OPEN = 40;

/** A value as a tree: folded, cut where it is large, with ways to all of it. */
export function JsonView({ value, name }: { value: Json; name: string }) {
  const text = () => JSON.stringify(value, null, 2);
  return (
    <div className="json">
      <div className="json-tools">
        <span className="help">{sizeOf(value)}</span>
        <Copy text={text} what={name} />
        <Button look="bare" onClick={() => download(text(), `${name}.json`, 'application/json')}>
          <DownloadSign />
          Download
        </Button>
      </div>
      <div className="json-tree mono">
        <Node value={value} depth={0} isOpen />
      </div>
    </div>
  );
}

interface NodeProps {
  value: Json;
  name?: string | number;
  depth: number;
  isOpen?: boolean;
}

function Node({ value, name, depth, isOpen: isOpenFirst = false }: NodeProps) {
  const [isOpen, setIsOpen] = useState(() => isOpenFirst && (depth === 0 || sizeIn(value) <= MOST_LINES_OPEN));
  const [shown, setShown] = useState(MOST_ENTRIES);
  if (!Array.isArray(value) && !isObject(value)) {
    return (
      <div className="json-line">
        <Name name={name} />
        <Leaf value={value} />
      </div>
    );
  }
  const isList = Array.isArray(value);
  const length = isList ? value.length : Object.keys(value).length;
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (length === 0) {
    return (
      <div className="json-line">
        <Name name={name} />
        <span className="json-mark">
          {open}
          {close}
        </span>
      </div>
    );
  }
  const entries: [string | number, Json][] = !isOpen
    ? []
    : isList
      ? value.slice(0, shown).map((item, place) => [place, item])
      : Object.keys(value)
          .slice(0, shown)
          .map((key) => [key, value[key] as Json]);
  return (
    <div>
      <div className="json-line">
        <button type="button" className="json-fold" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
          <span aria-hidden="true">{isOpen ? '▾' : '▸'}</span>
          <Name name={name} />
          <span className="json-mark">{open}</span>
          {isOpen ? null : (
            <span className="json-count">
              {length} {isList ? (length === 1 ? 'item' : 'items') : length === 1 ? 'key' : 'keys'} {close}
            </span>
          )}
        </button>
      </div>
      {isOpen ? (
        <>
          <div className="json-inner">
            {entries.map(([key, item]) => (
              <Node
                key={key}
                value={item}
                depth={depth + 1}
                isOpen={depth < 1 && length <= MOST_LINES_OPEN}
                {...(isList ? {} : { name: key })}
              />
            ))}
            {length > shown ? (
              <button type="button" className="link" onClick={() => setShown(shown + 10 * MOST_ENTRIES)}>
                … {length - shown} more
              </button>
            ) : null}
          </div>
          <span className="json-mark">{close}</span>
        </>
      ) : null}
    </div>
  );
}

function Name({ name }: { name: string | number | undefined }) {
  if (name === undefined) return null;
  return (
    <>
      <span className="json-key">{plain(String(name), 200)}</span>
      <span className="json-mark">: </span>
    </>
  );
}

function Leaf({ value }: { value: null | boolean | number | string }) {
  const [isWhole, setIsWhole] = useState(false);
  if (typeof value === 'number') return <span className="json-number">{value}</span>;
  if (typeof value !== 'string') return <span className="json-word">{String(value)}</span>;
  const isCut = value.length > MOST_CHARACTERS && !isWhole;
  return (
    <span className="json-string">
      <bdi>"{plain(isCut ? value.slice(0, MOST_CHARACTERS) : value, Number.POSITIVE_INFINITY)}"</bdi>
      {isCut ? (
        <button type="button" className="link" onClick={() => setIsWhole(true)}>
          … all {value.length} characters
        </button>
      ) : null}
    </span>
  );
}

/** Returns how many entries a value has. */
function sizeIn(value: Json): number {
  return isObject(value) || Array.isArray(value) ? Object.keys(value).length : 0;
}

function sizeOf(value: Json): string {
  const bytes = JSON.stringify(value).length;
  return bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB`;
}
