import { useMemo } from 'react';
import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { ListPage } from '../components/ListPage';
import { Empty } from '../components/Notice';
import { phaseOf } from '../components/PhaseCounts';
import { lookOf, Status } from '../components/Status';
import { plain } from '../components/text';
import { useIsNarrow } from '../components/use-is-narrow';
import { percent } from '../definitions/percent';
import { Link, navigate, useAddress, withSearch } from '../routing/location';
import { nameOf, namespacePath, runPath } from '../routing/paths';
import type { Run } from '../runs/documents';
import { PHASES, RANGES } from '../runs/filters';
import { spaced } from '../runs/RunTable';
import { useChanges } from '../runs/use-changes';
import { count, duration } from '../time/format';
import { Time } from '../time/Time';
import { BarChart } from './BarChart';
import { GetOverview, type Overview } from './documents';

const USUAL = '24h';
const INTERVALS: Record<string, number> = { '1h': 120, '24h': 3600, '7d': 4 * 3600, '30d': 86400 };
/** Each bar is a link, so it must be wide enough for a finger. */
const NARROW_INTERVALS: Record<string, number> = { '1h': 360, '24h': 3 * 3600, '7d': 86400, '30d': 3 * 86400 };

/** What has happened in a namespace. Every number leads to the runs behind it. */
export function OverviewPage({ namespace }: { namespace: string }) {
  const address = useAddress();
  const asked = address.search.get('range') ?? USUAL;
  const range = Object.hasOwn(RANGES, asked) ? asked : USUAL;
  const version = useChanges(namespace);
  const seconds = (useIsNarrow() ? NARROW_INTERVALS : INTERVALS)[range] ?? 3600;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each time that it is read again, the range ends now.
  const variables = useMemo(
    () => ({ since: minute(Date.now() - (RANGES[range]?.ms ?? 0)), interval: seconds }),
    [range, seconds, version],
  );
  const query = useQuery(GetOverview, variables, namespace, version);
  const answer = query.data?.backgroundTasks;
  const overview = answer?.overview.data;
  const choice = (
    <div className="segments">
      {Object.entries(RANGES).map(([name, { title }]) => (
        <button
          key={name}
          type="button"
          aria-pressed={name === range}
          title={title}
          onClick={() => navigate(withSearch(address, { range: name === USUAL ? null : name, namespace }))}
        >
          {name}
        </button>
      ))}
    </div>
  );
  return (
    <ListPage
      title="Overview"
      actions={choice}
      problem={problemIn(query, answer?.overview)}
      what="the overview"
      onRetry={query.refetch}
    >
      {answer?.statistics.data ? <Now counts={answer.statistics.data.byStatus} namespace={namespace} /> : null}
      {overview ? <InRange overview={overview} namespace={namespace} range={range} /> : null}
      {answer?.failed.data && answer.stuck.data ? (
        <div className="halves">
          <Runs
            title="Newest failures"
            runs={answer.failed.data}
            all={namespacePath('/runs', namespace, { status: 'Failed' })}
            empty="No run has failed."
          />
          <Runs
            title="Unfinished for the longest"
            runs={answer.stuck.data}
            all={namespacePath('/runs', namespace, { status: 'Pending,Running', sort: 'createdOn_ASC' })}
            empty="No run is unfinished."
          />
        </div>
      ) : null}
    </ListPage>
  );
}

function Now({ counts, namespace }: { counts: readonly { status: string; count: number }[]; namespace: string }) {
  const numbers = new Map(counts.map(({ status, count: number }) => [phaseOf(status), number]));
  return (
    <ul className="tiles" aria-label="All runs, by status">
      {PHASES.map((phase) => {
        const { Sign, tone } = lookOf({ phase, reason: null, suspended: false });
        return (
          <li key={phase} className="tile">
            <span className={`tile-title status tone-${tone}`}>
              <Sign size={14} />
              {phase}
            </span>
            <Link className="tile-value number" to={namespacePath('/runs', namespace, { status: phase })}>
              {count(numbers.get(phase) ?? 0)}
            </Link>
          </li>
        );
      })}
    </ul>
  );
}

interface InRangeProps {
  overview: Overview;
  namespace: string;
  range: string;
}

function InRange({ overview, namespace, range }: InRangeProps) {
  const seconds = (value: number) => duration(value * 1000).replace('.0 s', ' s');
  const { durations, queueSeconds, iterations } = overview;
  const title = RANGES[range]?.title ?? range;
  const rows: [string, string, string][] = [
    ['Duration', durations ? seconds(durations.median) : '–', durations ? seconds(durations.p95) : '–'],
    [
      'Time in the queue',
      queueSeconds ? seconds(queueSeconds.median) : '–',
      queueSeconds ? seconds(queueSeconds.p95) : '–',
    ],
    ['Iterations', iterations ? String(iterations.median) : '–', iterations ? String(iterations.p95) : '–'],
  ];
  return (
    <>
      <section className="panel value">
        <div className="panel-title">
          <h2>Finished in the {title}</h2>
          <p className="help">
            <Link to={namespacePath('/runs', namespace, { from: range })}>{count(overview.created)} created</Link>
            {overview.successRate === null ? '' : ` · ${percent(overview.successRate)} succeeded`}
          </p>
        </div>
        {overview.created || overview.finished.length ? (
          <BarChart overview={overview} namespace={namespace} />
        ) : (
          <Empty title={`Nothing has happened in the ${title}`}>
            Runs appear here at once: <Link to={namespacePath('/definitions', namespace)}>start one</Link>.
          </Empty>
        )}
      </section>
      <div className="halves">
        <section className="panel value">
          <h2>Why runs have failed</h2>
          {overview.failures.length === 0 ? <p className="help">No run has failed in the {title}.</p> : null}
          <ul className="shares">
            {overview.failures.slice(0, 8).map(({ reason, count: number }) => (
              <li key={reason}>
                <Link to={namespacePath('/runs', namespace, { status: 'Failed', reason, from: range })}>
                  {plain(spaced(reason), 80)}
                </Link>
                <span className="share" aria-hidden="true">
                  <i style={{ width: `${(100 * number) / (overview.failures[0]?.count || 1)}%` }} />
                </span>
                <span className="number">{count(number)}</span>
              </li>
            ))}
          </ul>
        </section>
        <section className="panel value">
          <h2>How long they took</h2>
          <table className="plain-table narrow">
            <thead>
              <tr>
                <th>
                  <span className="hidden">What</span>
                </th>
                <th>p50</th>
                <th>p95</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, median, p95]) => (
                <tr key={name}>
                  <td>{name}</td>
                  <td className="number">{median}</td>
                  <td className="number">{p95}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </div>
    </>
  );
}

function Runs({ title, runs, all, empty }: { title: string; runs: readonly Run[]; all: string; empty: string }) {
  return (
    <section className="panel value">
      <div className="panel-title">
        <h2>{title}</h2>
        {runs.length ? <Link to={all}>All</Link> : null}
      </div>
      {runs.length === 0 ? <p className="help">{empty}</p> : null}
      <ul className="rows">
        {runs.map((run) => (
          <li key={`${run.namespace}/${run.id}`}>
            <Status run={run} isShort />
            <Link to={runPath(run.namespace, nameOf(run.id))} className="row-link">
              <bdi>{plain(nameOf(run.id), 100)}</bdi>
            </Link>
            <span className="rows-message" title={plain(run.message ?? '')}>
              {plain(run.message ?? (run.reason ? spaced(run.reason) : ''), 120)}
            </span>
            <span className="rows-end">
              <Time at={run.finishedOn ?? run.createdOn} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** A time as ISO text, cut to the minute, so that it does not change all the time. */
function minute(ms: number): string {
  return new Date(Math.floor(ms / 60_000) * 60_000).toISOString();
}
