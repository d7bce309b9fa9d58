import { Commands } from '../components/Commands';
import { Copy } from '../components/Copy';
import { DetailPage, UnreadPage } from '../components/DetailPage';
import { Facts } from '../components/Facts';
import { Notice, ProblemNotice } from '../components/Notice';
import { ScrollTable } from '../components/ScrollTable';
import { Tile } from '../components/Tile';
import { plain } from '../components/text';
import { YamlView } from '../json/YamlView';
import { Link } from '../routing/location';
import { definitionPath, namespacePath } from '../routing/paths';
import { shortUser, spaced } from '../runs/RunTable';
import { count, duration } from '../time/format';
import { Time } from '../time/Time';
import { Backfills } from './Backfills';
import type { ScheduleDetail } from './documents';
import { Rules } from './Rules';
import { LastRuns, NextTimes, Unfinished } from './runs-and-times';
import { ScheduleActions } from './ScheduleActions';
import { ScheduleStatus } from './ScheduleStatus';
import { skippedReasons, skippedTotal } from './skipped';
import { useSchedule } from './use-schedules';

/** One schedule: when it starts runs, how they did, and what was skipped and why. */
export function SchedulePage({ namespace, name }: { namespace: string; name: string }) {
  const { schedule, isDeleted, isMissing, problem, refetch } = useSchedule(namespace, name);
  const all = namespacePath('/schedules', namespace);
  if (!schedule) {
    const text = (
      <>
        It was deleted, or never existed in the namespace {plain(namespace, 100)}. <Link to={all}>All schedules</Link>
      </>
    );
    const missing = isMissing ? { title: 'There is no such schedule', text } : undefined;
    return <UnreadPage name={name} problem={problem} what="this schedule" onRetry={refetch} missing={missing} />;
  }
  return (
    <DetailPage
      crumbs={<Link to={all}>Schedules</Link>}
      title={name}
      note={
        <>
          <Copy text={() => name} what="the name" />
          {isDeleted ? (
            <span className="status tag tone-quiet">Deleted</span>
          ) : (
            <ScheduleStatus schedule={schedule} isTag />
          )}
        </>
      }
      actions={<ScheduleActions schedule={schedule} isDeleted={isDeleted} onChanged={refetch} />}
    >
      {isDeleted ? (
        <Notice tone="warn" title="This schedule was deleted">
          What you see is its last state. Its runs stay.
        </Notice>
      ) : null}
      {problem ? <ProblemNotice problem={problem} what="this schedule" onRetry={refetch} /> : null}
      <State schedule={schedule} />
      <ScheduleFacts schedule={schedule} />
      <Counters schedule={schedule} />
      <div className="halves">
        <NextTimes schedule={schedule} />
        <Unfinished schedule={schedule} />
      </div>
      <div className="halves">
        <LastRuns namespace={namespace} name={name} />
        <Backfills schedule={schedule} isDeleted={isDeleted} onChanged={refetch} />
      </div>
      <div className="halves">
        <section className="panel value">
          <h2>Options</h2>
          <Options schedule={schedule} />
        </section>
        <Conditions schedule={schedule} />
      </div>
      <section className="panel value">
        <h2>Manifest</h2>
        <Commands
          commands={[
            `kubectl get taskschedules.podrelay.dev ${name} -n ${namespace} -o yaml`,
            `podrelay schedule show ${name} -n ${namespace}`,
          ]}
        />
        <YamlView value={schedule.manifest} name={name} />
      </section>
    </DetailPage>
  );
}

/** Why no runs start, if they do not. */
function State({ schedule }: { schedule: ScheduleDetail }) {
  const { suspended, suspendedBy, suspendNote, ready, reason, message, conditions } = schedule;
  const since = conditions.find((one) => one.type === 'Suspended' && one.status === 'True')?.changedOn;
  return (
    <>
      {ready === false ? (
        <Notice tone="bad" title={`No runs start: ${spaced(reason ?? 'it is not ready').toLowerCase()}`}>
          {plain(message ?? '')}
        </Notice>
      ) : null}
      {suspended ? (
        <Notice tone="warn" title="No runs start while this schedule is suspended">
          {suspendNote ? <p>{plain(suspendNote)}</p> : null}
          {suspendedBy ? `By ${plain(shortUser(suspendedBy), 100)}` : 'Suspended'}
          {since ? (
            <>
              {', '}
              <Time at={since} />
            </>
          ) : null}
          . Times that pass are skipped.
        </Notice>
      ) : null}
      {ready === null ? (
        <Notice tone="info" title="The operator has not seen this schedule yet">
          If this stays, no operator runs, or none watches this namespace.
        </Notice>
      ) : null}
    </>
  );
}

function ScheduleFacts({ schedule }: { schedule: ScheduleDetail }) {
  return (
    <Facts
      facts={{
        Definition: (
          <Link to={definitionPath(schedule.namespace, schedule.definition)}>
            <bdi>{plain(schedule.definition, 100)}</bdi>
          </Link>
        ),
        Times: <Rules schedule={schedule} most={schedule.rules.length} />,
        Overlap: spaced(schedule.overlap),
        Created: <Time at={schedule.createdOn} />,
        'Created by': schedule.createdBy ? <bdi>{plain(shortUser(schedule.createdBy), 100)}</bdi> : null,
      }}
    />
  );
}

function Counters({ schedule }: { schedule: ScheduleDetail }) {
  const reasons = skippedReasons(schedule.skipped);
  const { consecutiveFailures } = schedule;
  return (
    <ul className="tiles" aria-label="Counters">
      <Tile title="Started" value={count(schedule.started)} note="without backfills" />
      <Tile
        title="Skipped"
        value={count(skippedTotal(schedule.skipped))}
        note={reasons.map(({ words, count: number }) => `${count(number)} ${words}`).join(', ')}
      />
      <Tile title="Missed" value={count(schedule.missed)} note="while no operator ran" />
      <Tile title="Succeeded" value={count(schedule.succeeded)} />
      <Tile
        title="Failed"
        value={count(schedule.failed)}
        note={consecutiveFailures ? `${count(consecutiveFailures)} in a row` : ''}
      />
      <Tile title="Aborted" value={count(schedule.aborted)} />
    </ul>
  );
}

const OVERLAPS: Readonly<Record<string, string>> = {
  Skip: 'no run while another one is unfinished',
  BufferOne: 'one run waits for the unfinished one',
  BufferAll: 'runs wait for the unfinished one',
  AbortOther: 'the unfinished run is aborted',
  Allow: 'runs do not wait for each other',
};
const MISSED: Readonly<Record<string, string>> = {
  Skip: 'they are not made up for',
  Latest: 'the latest one is started',
  All: 'all are started',
};

function Options({ schedule: { options, overlap } }: { schedule: ScheduleDetail }) {
  const seconds = (value: number) => duration(value * 1000).replace('.0 s', ' s');
  const { missedPolicy, missedWindowSeconds } = options;
  const within = missedPolicy === 'Skip' ? '' : `, if at most ${seconds(missedWindowSeconds)} old`;
  return (
    <Facts
      facts={{
        Overlap: OVERLAPS[overlap] ?? overlap,
        'At most waiting': overlap === 'BufferAll' ? count(options.maxBuffered) : null,
        'Missed times': `${MISSED[missedPolicy] ?? missedPolicy}${within}`,
        'When clocks change':
          options.daylightSaving === 'Literal'
            ? 'as the clock shows: no run or two that day'
            : 'a daily time has one run that day',
        From: options.startAt ? <Time at={options.startAt} /> : null,
        Until: options.endAt ? <Time at={options.endAt} /> : null,
        'Delay to spread the load': options.jitterSeconds ? `up to ${seconds(options.jitterSeconds)}` : null,
        'Suspended after': options.pauseOnFailures ? `${options.pauseOnFailures} failed runs in a row` : null,
        Except: options.exclusions.length ? (
          <span className="rules">
            {options.exclusions.map((one) => (
              <code key={one}>{plain(one, 100)}</code>
            ))}
          </span>
        ) : null,
      }}
    />
  );
}

function Conditions({ schedule: { conditions } }: { schedule: ScheduleDetail }) {
  return (
    <section className="panel value">
      <h2>Conditions</h2>
      {conditions.length === 0 ? <p className="help">The operator has not written any yet.</p> : null}
      {conditions.length ? (
        <ScrollTable
          label="Conditions"
          className="narrow"
          head={
            <>
              <th>Type</th>
              <th>Status</th>
              <th>Reason</th>
              <th>Since</th>
            </>
          }
        >
          {conditions.map((one) => (
            <tr key={one.type}>
              <td>{one.type}</td>
              <td>{one.status}</td>
              <td className="wide">
                {spaced(one.reason)}
                {one.message ? <p className="second">{plain(one.message, 500)}</p> : null}
              </td>
              <td>
                <Time at={one.changedOn} />
              </td>
            </tr>
          ))}
        </ScrollTable>
      ) : null}
    </section>
  );
}
