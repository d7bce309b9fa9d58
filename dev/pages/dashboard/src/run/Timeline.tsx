import { type KeyboardEvent, useMemo, useRef } from 'react';
import { lookOf, Status } from '../components/Status';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { clock, duration } from '../time/format';
import { useNow } from '../time/now';
import { answerLook } from './attempts';
import type { Attempt, RunDetail, TimelineChild } from './documents';
import { layOut, type Segment, type TimelineRow } from './timeline-layout';

export const KINDS: Record<Segment['kind'], string> = {
  queue: 'Waiting for a slot or a pod',
  start: 'Pod is starting',
  work: 'Working',
  pause: 'Pause',
  backoff: 'Waiting to try again',
  children: 'Waiting for children',
  signal: 'Waiting for a signal',
};

type Tone = ReturnType<typeof lookOf>['tone'];

/** What the colours of working pods and children mean. */
const WORK: Record<Tone, string> = {
  good: 'Worked',
  busy: KINDS.work,
  warn: 'Disrupted',
  bad: 'Failed',
  quiet: 'Aborted or ended',
};

function toneOf({ child, attempt }: TimelineRow): Tone {
  if (child) return lookOf(child).tone;
  return attempt ? answerLook(attempt).tone : 'busy';
}

interface Props {
  run: RunDetail;
  history: readonly Attempt[];
  childRuns: readonly TimelineChild[];
  selected: string | undefined;
  onSelect: (id: string) => void;
}

/** The history of a run as bars. */
export function TimelineChart({ run, history, childRuns, selected, onSelect }: Props) {
  const isOver = run.finishedOn !== null && childRuns.every((child) => child.finishedOn !== null);
  return isOver ? (
    <Chart run={run} history={history} childRuns={childRuns} selected={selected} onSelect={onSelect} now={0} />
  ) : (
    <LiveChart run={run} history={history} childRuns={childRuns} selected={selected} onSelect={onSelect} />
  );
}

function LiveChart(props: Props) {
  return <Chart {...props} now={useNow()} />;
}

function Chart({ run, history, childRuns, selected, onSelect, now }: Props & { now: number }) {
  const { rows, scale } = useMemo(() => layOut(run, history, childRuns, now), [run, history, childRuns, now]);
  const list = useRef<HTMLOListElement>(null);

  function move(event: KeyboardEvent): void {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const bars = [...(list.current?.querySelectorAll<HTMLElement>('.bar') ?? [])];
    const place = bars.indexOf(document.activeElement as HTMLElement);
    bars[Math.min(Math.max(place + step, 0), bars.length - 1)]?.focus();
  }

  const used = new Set(rows.flatMap((row) => row.segments.map((one) => one.kind)));
  const tones = new Set(rows.filter((row) => row.segments.some((one) => one.kind === 'work')).map(toneOf));
  return (
    <div className="timeline">
      <div className="timeline-axis" aria-hidden="true">
        {scale.ticks.map((tick) => (
          <span key={tick.at} style={{ left: `${tick.place * 100}%` }}>
            {tick.at === 0 ? '0' : duration(tick.at).replace('.0 s', ' s')}
          </span>
        ))}
      </div>
      <ol className="timeline-rows" ref={list} onKeyDown={move} aria-label="Timeline">
        {rows.map((row) => (
          <Row key={row.id} row={row} place={scale.place} isSelected={row.id === selected} onSelect={onSelect} />
        ))}
      </ol>
      <div className="timeline-grid" aria-hidden="true">
        {scale.ticks.map((tick) => (
          <i key={tick.at} style={{ left: `${tick.place * 100}%` }} />
        ))}
        {scale.idle.map((gap) => (
          <span
            key={gap.from}
            className={gap.place + gap.width > 0.8 ? 'timeline-idle timeline-idle-last' : 'timeline-idle'}
            style={{ left: `${gap.place * 100}%`, width: `${gap.width * 100}%` }}
          >
            <b>{duration(gap.to - gap.from)}</b>
          </span>
        ))}
      </div>
      <ul className="legend">
        {(Object.keys(WORK) as Tone[])
          .filter((tone) => tones.has(tone))
          .map((tone) => (
            <li key={tone}>
              <i className={`segment segment-work tone-${tone}`} />
              {WORK[tone]}
            </li>
          ))}
        {(Object.keys(KINDS) as Segment['kind'][])
          .filter((kind) => used.has(kind) && kind !== 'work')
          .map((kind) => (
            <li key={kind}>
              <i className={`segment segment-${kind}`} />
              {KINDS[kind]}
            </li>
          ))}
      </ul>
    </div>
  );
}

interface RowProps {
  row: TimelineRow;
  place: (time: number) => number;
  isSelected: boolean;
  onSelect: (id: string) => void;
}

function Row({ row, place, isSelected, onSelect }: RowProps) {
  const { attempt, child, segments } = row;
  const first = segments[0];
  const last = segments.at(-1);
  const look = attempt ? answerLook(attempt) : undefined;
  const tone = toneOf(row);
  const bars = segments.map((one) => (
    <i
      key={`${one.kind} ${one.from}`}
      className={`segment segment-${one.kind}${one.isOpen ? ' segment-open' : ''}`}
      style={{ left: `${place(one.from) * 100}%`, width: `${(place(one.to) - place(one.from)) * 100}%` }}
    />
  ));
  const words = segments.map((one) => `${KINDS[one.kind]} ${duration(one.to - one.from)}`).join(', ');
  const title = first && last ? `${words} (${clock(first.from)} to ${last.isOpen ? 'now' : clock(last.to)})` : '';
  if (child) {
    const to = runPath(child.namespace, nameOf(child.id));
    return (
      <li className="timeline-row timeline-child">
        <span className="timeline-title">
          <Status run={child} isShort />
          <bdi>{plain(row.title, 60)}</bdi>
        </span>
        <Link
          to={to}
          className={`bar tone-${tone}`}
          title={title}
          aria-label={`Child ${plain(row.title, 100)}: ${title}`}
        >
          {bars}
        </Link>
      </li>
    );
  }
  return (
    <li className="timeline-row">
      <span className="timeline-title number">
        {look ? (
          <span className={`status tone-${look.tone}`}>
            <look.Sign size={14} />
          </span>
        ) : null}
        {row.title}
      </span>
      {attempt ? (
        <button
          type="button"
          className={`bar tone-${tone}`}
          aria-pressed={isSelected}
          title={title}
          aria-label={`Iteration ${row.title}: ${look?.word ?? ''}. ${title}`}
          onClick={() => onSelect(attempt.id)}
        >
          {bars}
        </button>
      ) : (
        <span className="bar" title={title}>
          {bars}
        </span>
      )}
    </li>
  );
}
