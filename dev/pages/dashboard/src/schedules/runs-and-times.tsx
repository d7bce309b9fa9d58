import { useQuery } from '../api/use-query';
import { ProblemNotice } from '../components/Notice';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { nameOf, namespacePath, runPath } from '../routing/paths';
import { ListRuns } from '../runs/documents';
import { RunRows } from '../runs/RunRows';
import { useChanges } from '../runs/use-changes';
import { count, inZone } from '../time/format';
import { Time } from '../time/Time';
import type { ScheduleDetail } from './documents';

const MOST_RUNS = 10;
const MOST_SHOWN = 20;

interface Props {
  schedule: ScheduleDetail;
}

/** The next five times, in the zone of the schedule, and how far away they are. */
export function NextTimes({ schedule: { nextTimes, timeZone, suspended, reason } }: Props) {
  return (
    <section className="panel value">
      <h2>Next times</h2>
      {nextTimes.length === 0 ? <p className="help">{why()}</p> : null}
      <ol className="rows">
        {nextTimes.map((time) => (
          <li key={time}>
            <span className="number rows-first">{inZone(Date.parse(time), timeZone)}</span>
            <span className="rows-end">
              <Time at={time} />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );

  function why(): string {
    if (suspended) return 'None while it is suspended.';
    return reason === 'NoMoreTimes' ? 'All of its times have passed.' : 'None is known.';
  }
}

/** The runs that count for the overlap, and the times that wait for their ends. */
export function Unfinished({ schedule: { namespace, active, buffered, timeZone } }: Props) {
  return (
    <section className="panel value">
      <h2>Unfinished</h2>
      {active.length === 0 ? <p className="help">None of its runs is unfinished.</p> : null}
      <ul className="rows">
        {active.slice(0, MOST_SHOWN).map((run) => (
          <li key={run.id}>
            <Link to={runPath(namespace, nameOf(run.id))} className="row-link">
              <bdi>{plain(nameOf(run.id), 100)}</bdi>
            </Link>
            <span className="rows-message">{run.backfill ? `backfill ${plain(run.backfill, 63)}` : ''}</span>
            <span className="rows-end" title="The time that it is for">
              <Time at={run.scheduledFor} />
            </span>
          </li>
        ))}
      </ul>
      {active.length > MOST_SHOWN ? <p className="help">and {count(active.length - MOST_SHOWN)} more</p> : null}
      {buffered.length ? (
        <>
          <h3>Waiting for them</h3>
          <ol className="rows">
            {buffered.slice(0, MOST_SHOWN).map((time, place) => (
              <li key={time}>
                <span className="rows-place number">{place + 1}</span>
                <span className="number rows-first">{inZone(Date.parse(time), timeZone)}</span>
                <span className="rows-end">
                  <Time at={time} />
                </span>
              </li>
            ))}
          </ol>
          {buffered.length > MOST_SHOWN ? <p className="help">and {count(buffered.length - MOST_SHOWN)} more</p> : null}
        </>
      ) : null}
    </section>
  );
}

/** The runs that it has started last, also those of backfills and those started by hand. */
export function LastRuns({ namespace, name }: { namespace: string; name: string }) {
  const where = { scheduleId: name };
  const version = useChanges(namespace, where);
  const variables = { where, sort: ['createdOn_DESC' as const], limit: MOST_RUNS };
  const query = useQuery(ListRuns, variables, namespace, version);
  const answer = query.data?.backgroundTasks?.listTasks;
  const runs = answer?.data ?? [];
  return (
    <section className="panel value">
      <div className="panel-title">
        <h2>Last runs</h2>
        <Link to={namespacePath('/runs', namespace, { schedule: name })}>All its runs</Link>
      </div>
      {query.problem ? <ProblemNotice problem={query.problem} what="its runs" onRetry={query.refetch} /> : null}
      {answer?.error ? <p className="help">{plain(answer.error.message ?? 'They cannot be read.')}</p> : null}
      {answer?.data && runs.length === 0 ? <p className="help">It has no runs.</p> : null}
      <RunRows runs={runs} />
    </section>
  );
}
