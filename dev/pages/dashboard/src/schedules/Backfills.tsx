import { useState } from 'react';
import { send } from '../api/http';
import { dataOf } from '../api/problems';
import { Button } from '../components/Button';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { nameOf } from '../routing/paths';
import { useRights } from '../shell/rights';
import { count, inZone } from '../time/format';
import { Time } from '../time/Time';
import { type Backfill, type ScheduleDetail, StopBackfill } from './documents';

interface Props {
  schedule: ScheduleDetail;
  isDeleted: boolean;
  onChanged: () => void;
}

/** The backfills of a schedule: what they cover, how far they are, and a way to stop them. */
export function Backfills({ schedule, isDeleted, onChanged }: Props) {
  const [stopped, setStopped] = useState<Backfill>();
  const { missing } = useRights();
  const { backfills, timeZone } = schedule;
  return (
    <section className="panel value">
      <h2>Backfills</h2>
      {backfills.length === 0 ? (
        <p className="help">None. A backfill starts the runs of times in the past, such as those before it existed.</p>
      ) : null}
      <ul className="backfills">
        {[...backfills].reverse().map((one) => (
          <li key={one.name}>
            <div className="backfill-head">
              <strong>
                <bdi>{plain(one.name, 63)}</bdi>
              </strong>
              <span className="second">{stateOf(one)}</span>
              {one.finishedOn ? null : (
                <Button
                  onClick={() => setStopped(one)}
                  disabledBecause={missing('changeSchedule') ?? (isDeleted ? 'This schedule was deleted.' : undefined)}
                >
                  Stop
                </Button>
              )}
            </div>
            <p className="number">
              {inZone(Date.parse(one.from), timeZone)} to before {inZone(Date.parse(one.until), timeZone)}
            </p>
            <p className="second">
              <span className="number">{count(one.started)}</span> started
              {one.existing ? (
                <>
                  , <span className="number">{count(one.existing)}</span> had a run already
                </>
              ) : null}
              {', '}
              {one.overlap === 'Allow' ? 'not waiting for each other' : 'one by one'}, at most{' '}
              <span className="number">{count(one.startsPerMinute)}</span> a minute
              {one.finishedOn ? (
                <>
                  , finished <Time at={one.finishedOn} />
                </>
              ) : null}
            </p>
          </li>
        ))}
      </ul>
      {stopped ? (
        <ConfirmDialog
          title="Stop this backfill?"
          action="Stop the backfill"
          isDangerous
          onClose={() => setStopped(undefined)}
          onConfirm={async () => {
            const variables = { id: nameOf(schedule.id), name: stopped.name };
            dataOf((await send(StopBackfill, variables, schedule.namespace)).backgroundTasks?.stopBackfill);
            say(<>The backfill {stopped.name} is stopped.</>);
            onChanged();
          }}
        >
          <p>
            No further runs of <bdi>{plain(stopped.name, 63)}</bdi> start. Runs that it has started continue. The same
            range can be backfilled again: times that have a run are left out.
          </p>
        </ConfirmDialog>
      ) : null}
    </section>
  );
}

function stateOf({ finishedOn, processedUntil }: Backfill): string {
  if (finishedOn) return 'finished';
  return processedUntil ? 'running' : 'beginning';
}
