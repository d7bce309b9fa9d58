import { useVirtualizer } from '@tanstack/react-virtual';
import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useStore } from '../api/store';
import { DownSortSign, UpSortSign } from '../components/icons';
import { Progress } from '../components/Progress';
import { Status } from '../components/Status';
import { plain } from '../components/text';
import { useIsNarrow } from '../components/use-is-narrow';
import { Link, navigate } from '../routing/location';
import { ALL_NAMESPACES, nameOf, namespacePath, runPath } from '../routing/paths';
import { useKeys } from '../shell/keys';
import { Elapsed, Time, zone } from '../time/Time';
import type { Run } from './documents';
import { COLUMNS, type Column, type Filters, nextSort, type Sort } from './filters';
import type { LiveList, Row } from './live-list';

const ROW = 36;
const CARD = 60;

/** The least width of each column in pixels, and its share of what is left. */
const WIDTHS: Record<Column, readonly [number, number]> = {
  phase: [108, 0],
  name: [220, 3],
  definition: [110, 1.2],
  why: [150, 2.4],
  iterations: [76, 0],
  progress: [110, 0.8],
  created: [92, 0],
  started: [92, 0],
  finished: [92, 0],
  duration: [92, 0],
  createdBy: [120, 1],
  namespace: [100, 1],
};
const TIMES: readonly Column[] = ['created', 'started', 'finished'];
/** A time that is not relative is longer. */
const LONG_TIME = 156;
const GAP = 12;
const CHECK = 16;
const MARGIN = 16;

interface Grid {
  gridTemplateColumns: string;
  minWidth: number;
}

interface Props {
  list: LiveList;
  filters: Filters;
  namespace: string;
  scroller: RefObject<HTMLDivElement | null>;
  isLoading: boolean;
  onShown: (last: number) => void;
  onPoint: (isPointing: boolean) => void;
  onSort: (sort: Sort) => void;
  selected: ReadonlySet<string>;
  onSelect: (id: string) => void;
  empty: ReactNode;
}

/** The rows of the list. Only those that can be seen are in the document, however many there are. */
export function RunTable(props: Props) {
  const { list, filters, namespace, scroller, isLoading, onShown, onPoint, onSort, selected, onSelect, empty } = props;
  const isNarrow = useIsNarrow();
  const columns = useMemo(
    (): Column[] =>
      namespace === ALL_NAMESPACES && !filters.columns.includes('namespace')
        ? [...filters.columns, 'namespace']
        : filters.columns,
    [namespace, filters.columns],
  );
  const { rows } = list;
  // With another function, the places of all rows are calculated again: in every frame, if it were not kept.
  const getItemKey = useCallback((place: number) => rows[place]?.run.id ?? place, [rows]);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isNarrow ? CARD : ROW),
    getItemKey,
    overscan: 5,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another width has another height of rows.
  useEffect(() => virtual.measure(), [isNarrow]);
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => onShown(last), [last, onShown]);

  const [active, setActive] = useState<string>();
  const body = useRef<HTMLDivElement>(null);
  const place = active === undefined ? -1 : rows.findIndex((row) => row.run.id === active);
  function move(step: number): void {
    const next = Math.min(Math.max(place + step, 0), rows.length - 1);
    const row = rows[next];
    if (!row) return;
    setActive(row.run.id);
    virtual.scrollToIndex(next, { align: 'auto' });
    requestAnimationFrame(() => body.current?.querySelector<HTMLElement>(`[data-place="${next}"] a`)?.focus());
  }
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    x: () => {
      if (active !== undefined) onSelect(active);
    },
  });

  const isLong = useStore(zone) !== 'relative';
  const grid = useMemo(() => gridOf(columns, isLong), [columns, isLong]);
  return (
    <div className="table">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard. */}
      <section className="table-scroll" ref={scroller} tabIndex={0} aria-label="List of runs">
        <div role="table" aria-label="Runs" aria-rowcount={list.hasMore ? -1 : rows.length + 1} aria-busy={isLoading}>
          <div className="table-head" role="rowgroup">
            <div className="row" role="row" aria-rowindex={1} style={grid}>
              <div className="cell cell-check" role="columnheader">
                <span className="hidden">Selected</span>
              </div>
              {columns.map((column) => (
                <Head key={column} column={column} sort={filters.sort} onSort={onSort} />
              ))}
            </div>
          </div>
          {list.isLoaded && rows.length === 0 ? null : (
            <div
              className="table-body"
              role="rowgroup"
              ref={body}
              style={{ height: virtual.getTotalSize(), ...(isNarrow ? {} : { minWidth: grid.minWidth }) }}
              onPointerEnter={() => onPoint(true)}
              onPointerLeave={() => onPoint(false)}
            >
              {items.map((item) => {
                const row = rows[item.index];
                return row ? (
                  <RunRow
                    key={item.key}
                    row={row}
                    place={item.index}
                    top={item.start}
                    columns={columns}
                    grid={isNarrow ? undefined : grid}
                    isNarrow={isNarrow}
                    isActive={row.run.id === active}
                    onActive={setActive}
                    isSelected={selected.has(row.run.id)}
                    onSelect={onSelect}
                  />
                ) : null;
              })}
            </div>
          )}
        </div>
        {list.isLoaded && rows.length === 0 ? empty : null}
      </section>
    </div>
  );
}

function gridOf(columns: readonly Column[], isLong: boolean): Grid {
  const widths = columns.map((column): readonly [number, number] =>
    isLong && TIMES.includes(column) ? [LONG_TIME, 0] : WIDTHS[column],
  );
  return {
    gridTemplateColumns: [
      `${CHECK}px`,
      ...widths.map(([least, share]) => (share ? `minmax(${least}px, ${share}fr)` : `${least}px`)),
    ].join(' '),
    minWidth: widths.reduce((sum, [least]) => sum + least + GAP, CHECK + 2 * MARGIN),
  };
}

interface HeadProps {
  column: Column;
  sort: Sort;
  onSort: (sort: Sort) => void;
}

const Head = memo(function Head({ column, sort, onSort }: HeadProps) {
  const { title, sort: field } = COLUMNS[column];
  const next = nextSort(sort, column);
  const direction =
    field && sort === `${field}_ASC` ? 'ascending' : field && sort === `${field}_DESC` ? 'descending' : undefined;
  return (
    <div className={`cell cell-${column}`} role="columnheader" aria-sort={direction}>
      {next ? (
        <button type="button" className="sort" onClick={() => onSort(next)}>
          {title}
          {direction === 'ascending' ? <UpSortSign size={12} /> : null}
          {direction === 'descending' ? <DownSortSign size={12} /> : null}
        </button>
      ) : (
        title
      )}
    </div>
  );
});

interface RowProps {
  row: Row;
  place: number;
  top: number;
  columns: Column[];
  grid: Grid | undefined;
  isNarrow: boolean;
  isActive: boolean;
  onActive: (id: string) => void;
  isSelected: boolean;
  onSelect: (id: string) => void;
}

/** A row is drawn again only if something of it has changed, so scrolling costs what the new rows cost. */
const RunRow = memo(function RunRow(props: RowProps) {
  const { place, top, columns, grid, isNarrow, isActive, onActive, isSelected, onSelect } = props;
  const { run, mark } = props.row;
  const to = runPath(run.namespace, nameOf(run.id));
  const classes = [
    'row',
    isNarrow ? 'row-card' : '',
    isActive ? 'row-active' : '',
    isSelected ? 'row-selected' : '',
    mark ? `row-${mark}` : '',
  ];
  const style = { top, ...grid };
  const note =
    mark === 'deleted' ? 'This run was deleted' : mark === 'unmatched' ? 'No longer matches the filters' : undefined;
  return (
    <div
      className={classes.filter(Boolean).join(' ')}
      role="row"
      aria-rowindex={place + 2}
      data-place={place}
      style={style}
      title={note}
      onFocus={() => onActive(run.id)}
      onClick={(event) => {
        if ((event.target as Element).closest('a, button, input') || getSelection()?.toString()) return;
        navigate(to);
      }}
      onKeyDown={(event: KeyboardEvent) => {
        if (event.key === 'Enter' && event.target === event.currentTarget) navigate(to);
      }}
    >
      <div className="cell cell-check" role="cell">
        <input
          type="checkbox"
          checked={isSelected}
          aria-label={`Select ${plain(nameOf(run.id), 100)}`}
          onChange={() => onSelect(run.id)}
        />
      </div>
      {columns.map((column) => (
        <div key={column} className={`cell cell-${column}`} role="cell">
          <Cell column={column} run={run} to={to} isDeleted={mark === 'deleted'} />
        </div>
      ))}
    </div>
  );
});

function Cell({ column, run, to, isDeleted }: { column: Column; run: Run; to: string; isDeleted: boolean }) {
  switch (column) {
    case 'phase':
      return isDeleted ? <span className="status tone-quiet">Deleted</span> : <Status run={run} />;
    case 'name':
      return (
        <>
          <Link to={to} className="row-link" title={plain(run.name ?? '')}>
            <bdi>{plain(run.name || nameOf(run.id), 200)}</bdi>
          </Link>
          {run.name ? <span className="row-name">{nameOf(run.id)}</span> : null}
        </>
      );
    case 'definition':
      return run.definitionId ? <bdi title={plain(run.definitionId)}>{plain(run.definitionId, 100)}</bdi> : <Absent />;
    case 'why':
      return <Why run={run} />;
    case 'iterations':
      return <span className="number">{run.iterations ?? 0}</span>;
    case 'progress':
      return run.progress ? <Progress progress={run.progress} isDone={run.phase === 'Succeeded'} /> : <Absent />;
    case 'created':
      return <Time at={run.createdOn} />;
    case 'started':
      return <Time at={run.startedOn} />;
    case 'finished':
      return <Time at={run.finishedOn} />;
    case 'duration':
      return <Elapsed from={run.startedOn} to={run.finishedOn} />;
    case 'createdBy':
      return <bdi title={plain(run.createdBy.id)}>{plain(shortUser(run.createdBy.displayName), 80)}</bdi>;
    case 'namespace':
      return <Link to={namespacePath('/runs', run.namespace)}>{run.namespace}</Link>;
  }
}

/** The reason of a run: what it waits for, or why it failed; nothing where the status says all. */
function Why({ run }: { run: Run }) {
  if (run.phase === 'Succeeded' || !run.reason || run.reason === 'IterationRunning') return <Absent />;
  const text = run.reason === 'Queued' && run.queuePosition ? `Queued, place ${run.queuePosition}` : spaced(run.reason);
  return (
    <span title={plain(run.message ?? '')}>
      {plain(text, 80)}
      {run.phase === 'Failed' && run.message ? <span className="second">{` ${plain(run.message, 120)}`}</span> : null}
    </span>
  );
}

function Absent() {
  return <span className="absent">–</span>;
}

/** Returns a reason as words: ImagePullBackOff as Image pull back off. */
export function spaced(reason: string): string {
  if (/^[A-Z_]+$/.test(reason)) return reason;
  const words = reason.replace(/([a-z])([A-Z0-9])/g, '$1 $2').split(' ');
  return words.map((word, place) => (place && !/^[A-Z]{2}/.test(word) ? word.toLowerCase() : word)).join(' ');
}

/** Returns a user without what all service accounts have in common. */
export function shortUser(name: string): string {
  return name.replace(/^system:serviceaccount:/, '');
}
