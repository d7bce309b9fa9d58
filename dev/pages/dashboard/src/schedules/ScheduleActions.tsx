import { useState } from 'react';
import { send } from '../api/http';
import { useIdempotencyKey } from '../api/idempotency';
import { dataOf } from '../api/problems';
import { Button } from '../components/Button';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { InputField } from '../components/Field';
import { say } from '../components/toasts';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { useRights } from '../shell/rights';
import { BackfillDialog } from './BackfillDialog';
import { DeleteSchedule, type ScheduleDetail, SuspendSchedule, TriggerSchedule } from './documents';

type Act = 'trigger' | 'backfill' | 'suspend' | 'resume' | 'delete';

interface Props {
  schedule: ScheduleDetail;
  isDeleted: boolean;
  onChanged: () => void;
}

/** What can be done with a schedule. What cannot be done is there, too, and says why not. */
export function ScheduleActions({ schedule, isDeleted, onChanged }: Props) {
  const [asked, setAsked] = useState<Act>();
  const { missing } = useRights();
  const gone = isDeleted ? 'This schedule was deleted.' : undefined;
  const close = () => setAsked(undefined);
  return (
    <>
      <Button look="main" onClick={() => setAsked('trigger')} disabledBecause={missing('triggerSchedule') ?? gone}>
        Run now
      </Button>
      <Button onClick={() => setAsked('backfill')} disabledBecause={missing('changeSchedule') ?? gone}>
        Backfill
      </Button>
      {schedule.suspended ? (
        <Button onClick={() => setAsked('resume')} disabledBecause={missing('changeSchedule') ?? gone}>
          Resume
        </Button>
      ) : (
        <Button onClick={() => setAsked('suspend')} disabledBecause={missing('changeSchedule') ?? gone}>
          Suspend
        </Button>
      )}
      <Button look="danger" onClick={() => setAsked('delete')} disabledBecause={missing('deleteSchedule') ?? gone}>
        Delete
      </Button>
      {asked === 'trigger' ? <Trigger schedule={schedule} onClose={close} /> : null}
      {asked === 'backfill' ? <BackfillDialog schedule={schedule} onClose={close} onChanged={onChanged} /> : null}
      {asked === 'suspend' ? <Suspend schedule={schedule} onClose={close} onChanged={onChanged} /> : null}
      {asked === 'resume' ? <Resume schedule={schedule} onClose={close} onChanged={onChanged} /> : null}
      {asked === 'delete' ? <Delete schedule={schedule} onClose={close} onChanged={onChanged} /> : null}
    </>
  );
}

interface DialogProps {
  schedule: ScheduleDetail;
  onClose: () => void;
}

function Trigger({ schedule: { id, namespace, active, overlap, suspended }, onClose }: DialogProps) {
  const key = useIdempotencyKey();
  return (
    <ConfirmDialog
      title="Start a run now?"
      action="Start the run"
      onClose={onClose}
      onConfirm={async () => {
        const answer = await send(TriggerSchedule, { id: nameOf(id), key }, namespace);
        const started = dataOf(answer.backgroundTasks?.triggerSchedule);
        say(
          <>
            Started <Link to={runPath(started.namespace, nameOf(started.id))}>{nameOf(started.id)}</Link>.
          </>,
        );
      }}
    >
      <p>
        It gets the input of the schedule.{' '}
        {overlap === 'Allow' ? '' : 'Until it has finished, later times find it unfinished. '}
        {suspended ? 'The schedule stays suspended.' : 'The times of the schedule stay as they are.'}
      </p>
      {active.length ? (
        <p>
          {active.length === 1 ? 'Another run is' : `${active.length} other runs are`} unfinished; it does not wait for{' '}
          {active.length === 1 ? 'it' : 'them'}.
        </p>
      ) : null}
    </ConfirmDialog>
  );
}

interface ChangeProps extends DialogProps {
  onChanged: () => void;
}

function Suspend({ schedule: { id, namespace }, onClose, onChanged }: ChangeProps) {
  const [note, setNote] = useState('');
  return (
    <ConfirmDialog
      title="Suspend this schedule?"
      action="Suspend the schedule"
      onClose={onClose}
      onConfirm={async () => {
        const variables = { id: nameOf(id), suspend: true, note: note.trim() || null };
        dataOf((await send(SuspendSchedule, variables, namespace)).backgroundTasks?.suspendSchedule);
        say(<>{nameOf(id)} is suspended.</>);
        onChanged();
      }}
    >
      <p>No runs start until it is resumed; the times that pass are skipped. Runs that have started continue.</p>
      <InputField
        title="Note"
        help="Shown with the schedule, with your name, to say why."
        value={note}
        maxLength={1000}
        onChange={setNote}
      />
    </ConfirmDialog>
  );
}

function Resume({ schedule: { id, namespace }, onClose, onChanged }: ChangeProps) {
  return (
    <ConfirmDialog
      title="Resume this schedule?"
      action="Resume the schedule"
      onClose={onClose}
      onConfirm={async () => {
        const variables = { id: nameOf(id), suspend: false, note: null };
        dataOf((await send(SuspendSchedule, variables, namespace)).backgroundTasks?.suspendSchedule);
        say(<>{nameOf(id)} is resumed.</>);
        onChanged();
      }}
    >
      <p>The next time starts a run. Times that passed while it was suspended stay skipped; a backfill starts them.</p>
    </ConfirmDialog>
  );
}

function Delete({ schedule: { id, namespace }, onClose, onChanged }: ChangeProps) {
  return (
    <ConfirmDialog
      title="Delete this schedule?"
      action="Delete the schedule"
      isDangerous
      onClose={onClose}
      onConfirm={async () => {
        dataOf((await send(DeleteSchedule, { id: nameOf(id) }, namespace)).backgroundTasks?.deleteSchedule);
        say(<>{nameOf(id)} is deleted.</>);
        onChanged();
      }}
    >
      <p>No further runs start, and its counters are lost. Its runs stay, also those that are unfinished.</p>
    </ConfirmDialog>
  );
}
