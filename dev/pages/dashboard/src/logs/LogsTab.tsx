import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Button } from '../components/Button';
import { download } from '../components/Copy';
import { DownloadSign, FollowSign, WrapSign } from '../components/icons';
import { Empty, ProblemNotice } from '../components/Notice';
import { plain } from '../components/text';
import { JsonView } from '../json/JsonView';
import { navigate, useAddress, withSearch } from '../routing/location';
import { useKeys } from '../shell/keys';
import { absolute, clock, count } from '../time/format';
import { Ansi } from './Ansi';
import { filterLines, gapText, type Line, type LineFilter, toText } from './lines';
import { useLogs } from './use-logs';

/** Up to so many lines, all are in the document, so that the browser finds text in them. */
const MOST_IN_DOCUMENT = 20_000;
const BLOCK = 200;
const LINE = 20;
const MOST_CHARACTERS = 4_000;

interface Props {
  namespace: string;
  name: string;
  isDeleted: boolean;
}

/** The logs and the output of all pods of a run, as one stream. */
export function LogsTab({ namespace, name, isDeleted }: Props) {
  const { lines, version, hasEnded, problem } = useLogs(namespace, name, isDeleted);
  const address = useAddress();
  const filter = useMemo((): LineFilter => fromSearch(address.search), [address]);
  const [isWrapped, setIsWrapped] = useState(true);
  const [isFollowing, setIsFollowing] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is the same one all the time, its version changes.
  const shown = useMemo(() => [...filterLines(lines, filter)], [lines, version, filter]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: likewise.
  const iterations = useMemo(() => iterationsOf(lines), [lines, version]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: each change of the lines moves their end.
  useLayoutEffect(() => {
    if (isFollowing && scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight;
  }, [shown, isFollowing]);

  function change(values: Record<string, string | null>): void {
    navigate(withSearch(address, values), 'replace');
  }

  return (
    <section className="panel logs" aria-label="Logs">
      <div className="panel-tools">
        <Find value={filter.text} onChange={(text) => change({ find: text || null })} />
        <label className="filter">
          <span>Lines</span>
          <select value={filter.level} onChange={(event) => change({ level: only(event.target.value, 'all') })}>
            <option value="all">all</option>
            <option value="log">logged</option>
            <option value="error">errors</option>
            <option value="output">printed</option>
          </select>
        </label>
        <label className="filter">
          <span>Iteration</span>
          <select
            value={filter.iteration ?? ''}
            onChange={(event) => change({ iteration: only(event.target.value, '') })}
          >
            <option value="">all</option>
            {iterations.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <span className="logs-count number">
          {shown.length === lines.length ? count(lines.length) : `${count(shown.length)} of ${count(lines.length)}`}{' '}
          lines
        </span>
        <Button look="bare" aria-pressed={isWrapped} onClick={() => setIsWrapped(!isWrapped)}>
          <WrapSign />
          Wrap
        </Button>
        <Button look="bare" aria-pressed={isFollowing} onClick={() => setIsFollowing(!isFollowing)}>
          <FollowSign />
          Follow
        </Button>
        <Button look="bare" onClick={() => download(toText(lines), `${name}.log`)}>
          <DownloadSign />
          Download
        </Button>
      </div>
      {problem ? <ProblemNotice problem={problem} what="the logs" /> : null}
      {shown.length === 0 ? (
        <Empty
          title={
            lines.length ? 'No line matches the filters' : hasEnded ? 'It has logged nothing' : 'Nothing is logged yet'
          }
        />
      ) : (
        <div
          className={isWrapped ? 'log-lines log-wrapped' : 'log-lines'}
          ref={scroller}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard.
          tabIndex={0}
          role="log"
          aria-label="Lines"
          aria-live="off"
          onScroll={(event) => {
            const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
            const isAtEnd = scrollHeight - scrollTop - clientHeight < 2 * LINE;
            if (isAtEnd !== isFollowing) setIsFollowing(isAtEnd);
          }}
        >
          {shown.length > MOST_IN_DOCUMENT ? (
            <VirtualLines lines={shown} scroller={scroller} />
          ) : (
            blocksOf(shown).map((block) => <Block key={block[0]?.id} lines={block} />)
          )}
          <p className="log-end">{hasEnded || isDeleted ? 'End of the logs' : 'New lines appear here'}</p>
        </div>
      )}
    </section>
  );
}

function Find({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(value);
  useKeys({ '/': () => field.current?.select() });
  useEffect(() => setText(value), [value]);
  return (
    <label className="search">
      <span className="hidden">Only lines with this text</span>
      <input
        ref={field}
        type="search"
        className="find"
        placeholder="Only lines with …"
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          onChange(event.target.value);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') field.current?.blur();
        }}
      />
      <span className="key-hint" aria-hidden="true">
        /
      </span>
    </label>
  );
}

/** Some lines; the browser lays them out only when they can be seen, but finds text in them. */
const Block = memo(
  function Block({ lines }: { lines: readonly Line[] }) {
    return (
      <div className="log-block" style={{ containIntrinsicSize: `auto ${lines.length * LINE}px` }}>
        {lines.map((line) => (
          <LogRow key={line.id} line={line} />
        ))}
      </div>
    );
  },
  (before, after) =>
    before.lines.length === after.lines.length && before.lines.every((line, place) => line === after.lines[place]),
);

function VirtualLines({ lines, scroller }: { lines: readonly Line[]; scroller: RefObject<HTMLDivElement | null> }) {
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => LINE,
    overscan: 40,
  });
  return (
    <div className="log-virtual" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const line = lines[item.index];
        return line ? (
          <div key={line.id} style={{ transform: `translateY(${item.start}px)` }}>
            <LogRow line={line} />
          </div>
        ) : null;
      })}
    </div>
  );
}

const LogRow = memo(function LogRow({ line }: { line: Line }) {
  const [isOpen, setIsOpen] = useState(false);
  const [isWhole, setIsWhole] = useState(false);
  if (line.kind === 'gap') return <div className="log-gap">{plain(gapText(line), 500)}</div>;
  const isCut = line.text.length > MOST_CHARACTERS && !isWhole;
  return (
    <div className={`log-row log-${line.kind}`}>
      <time title={line.at === undefined ? '' : absolute(line.at, 'local')}>
        {line.at === undefined ? '' : clock(line.at)}
      </time>
      <span className="log-where" title={line.pod}>
        {line.iteration ?? ''}
        {line.attempt && line.attempt > 1 ? `.${line.attempt}` : ''}
      </span>
      <span className="log-kind">{line.kind === 'output' ? '' : line.kind}</span>
      <span className="log-text">
        <bdi>
          <Ansi text={isCut ? line.text.slice(0, MOST_CHARACTERS) : line.text} />
        </bdi>
        {isCut ? (
          <button type="button" className="link" onClick={() => setIsWhole(true)}>
            … all {count(line.text.length)} characters
          </button>
        ) : null}
        {line.details == null ? null : (
          <button type="button" className="log-more" aria-expanded={isOpen} onClick={() => setIsOpen(!isOpen)}>
            data {isOpen ? '▾' : '▸'}
          </button>
        )}
        {isOpen && line.details != null ? <JsonView value={line.details} name={`line-${line.id}`} /> : null}
      </span>
    </div>
  );
});

function blocksOf(lines: readonly Line[]): Line[][] {
  const blocks: Line[][] = [];
  for (let place = 0; place < lines.length; place += BLOCK) blocks.push(lines.slice(place, place + BLOCK));
  return blocks;
}

function iterationsOf(lines: readonly Line[]): number[] {
  const found = new Set<number>();
  for (const line of lines) if (line.iteration !== undefined) found.add(line.iteration);
  return [...found].sort((a, b) => a - b);
}

function fromSearch(search: URLSearchParams): LineFilter {
  const level = search.get('level');
  const iteration = Number(search.get('iteration') || Number.NaN);
  return {
    level: level === 'error' || level === 'log' || level === 'output' ? level : 'all',
    iteration: Number.isInteger(iteration) ? iteration : undefined,
    text: search.get('find') ?? '',
  };
}

function only(value: string, usual: string): string | null {
  return value === usual ? null : value;
}
