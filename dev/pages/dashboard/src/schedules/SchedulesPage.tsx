import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { ListPage } from '../components/ListPage';
import { ScrollTable } from '../components/ScrollTable';
import { Status } from '../components/Status';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { ALL_NAMESPACES, definitionPath, nameOf, namespacePath, runPath, schedulePath } from '../routing/paths';
import { spaced } from '../runs/RunTable';
import { count } from '../time/format';
import { Time } from '../time/Time';
import { type ListedSchedule, ListSchedules } from './documents';
import { NoSchedules } from './NoSchedules';
import { phaseOrRunning } from './phases';
import { Rules } from './Rules';
import { ScheduleStatus } from './ScheduleStatus';
import { skippedTotal } from './skipped';
import { useScheduleChanges } from './use-schedules';

/** When runs start by themselves. */
export function SchedulesPage({ namespace }: { namespace: string }) {
  const version = useScheduleChanges(namespace);
  const query = useQuery(ListSchedules, { definition: null }, namespace, version);
  const answer = query.data?.backgroundTasks?.listSchedules;
  const schedules = answer?.data;
  const isOfAll = namespace === ALL_NAMESPACES;
  return (
    <ListPage title="Schedules" problem={problemIn(query, answer)} what="the schedules" onRetry={query.refetch}>
      {schedules?.length === 0 ? <NoSchedules namespace={namespace} /> : null}
      {schedules?.length ? (
        <ScrollTable
          label="Schedules"
          className="schedules"
          isPanel
          head={
            <>
              <th>Name</th>
              <th>Status</th>
              <th className="if-wide">Next</th>
              <th className="if-wide">Last</th>
              <th className="if-wide">Overlap</th>
              <th className="if-wide">Unfinished</th>
              <th className="if-wide">Started</th>
              <th className="if-wide">Skipped</th>
              <th className="if-wide">Missed</th>
              {isOfAll ? <th>Namespace</th> : null}
            </>
          }
        >
          {schedules.map((schedule) => (
            <Row key={`${schedule.namespace}/${schedule.id}`} schedule={schedule} hasNamespace={isOfAll} />
          ))}
        </ScrollTable>
      ) : null}
    </ListPage>
  );
}

function Row({ schedule, hasNamespace }: { schedule: ListedSchedule; hasNamespace: boolean }) {
  const { namespace, definition, nextTimes, lastRun, active, buffered } = schedule;
  const name = nameOf(schedule.id);
  return (
    <tr>
      <td className="wide">
        <Link to={schedulePath(namespace, name)} className="row-link">
          <bdi>{plain(name, 63)}</bdi>
        </Link>
        <span className="row-name">
          <Link to={definitionPath(namespace, definition)}>{plain(definition, 100)}</Link>
        </span>
        <Rules schedule={schedule} />
      </td>
      <td>
        <ScheduleStatus schedule={schedule} />
        {schedule.suspended && schedule.suspendNote ? (
          <p className="second schedule-note">{plain(schedule.suspendNote, 120)}</p>
        ) : null}
        <span className="if-narrow second">
          {schedule.suspended || !nextTimes[0] ? null : (
            <>
              next <Time at={nextTimes[0]} />
            </>
          )}
        </span>
        <span className="if-narrow">{lastRun ? <Last namespace={namespace} run={lastRun} /> : null}</span>
      </td>
      <td className="if-wide">{schedule.suspended ? <span className="absent">–</span> : <Time at={nextTimes[0]} />}</td>
      <td className="if-wide">
        {lastRun ? <Last namespace={namespace} run={lastRun} /> : <span className="absent">–</span>}
      </td>
      <td className="if-wide">{spaced(schedule.overlap)}</td>
      <td className="number if-wide">
        {count(active.length)}
        {buffered.length ? <span className="second">, {count(buffered.length)} waiting</span> : null}
      </td>
      <td className="number if-wide">{count(schedule.started)}</td>
      <td className="number if-wide">{count(skippedTotal(schedule.skipped))}</td>
      <td className="number if-wide">{count(schedule.missed)}</td>
      {hasNamespace ? (
        <td>
          <Link to={namespacePath('/schedules', namespace)}>{namespace}</Link>
        </td>
      ) : null}
    </tr>
  );
}

/** The last run, with its outcome. */
function Last({ namespace, run }: { namespace: string; run: NonNullable<ListedSchedule['lastRun']> }) {
  return (
    <Link to={runPath(namespace, nameOf(run.id))} className="schedule-last" title="Last run">
      <Status run={{ phase: phaseOrRunning(run.phase), reason: null, suspended: false }} isShort />
      <Time at={run.scheduledFor} />
    </Link>
  );
}
