import { type ReactNode, useState } from 'react';
import { send } from '../api/http';
import { dataOf } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { InputField } from '../components/Field';
import { say } from '../components/toasts';
import { Link, navigate } from '../routing/location';
import { nameOf, runPath, triggerPath } from '../routing/paths';
import { useRights } from '../shell/rights';
import { AbortRun, DeleteRun, GraceOfDefinition, RerunRun, type RunDetail, SuspendRun } from './documents';
import { isFinished } from './use-run';

type Act = 'abort' | 'rerun' | 'suspend' | 'resume' | 'delete';

interface Props {
  run: RunDetail;
  isDeleted: boolean;
}

/** What can be done with a run. What cannot be done is there, too, and says why not. */
export function RunActions({ run, isDeleted }: Props) {
  const [asked, setAsked] = useState<Act>();
  const { missing } = useRights();
  const gone = isDeleted ? 'This run was deleted.' : undefined;
  const ended = gone ?? (isFinished(run) ? 'This run has finished.' : undefined);
  const isAborting = run.reason === 'Aborting' || run.reason === 'PodEnding';
  return (
    <>
      <Button
        onClick={() => setAsked('rerun')}
        disabledBecause={missing('trigger') ?? (run.definitionId ? undefined : 'It has no definition.')}
      >
        Rerun
      </Button>
      {run.suspended ? (
        <Button onClick={() => setAsked('resume')} disabledBecause={missing('change') ?? ended}>
          Resume
        </Button>
      ) : (
        <Button onClick={() => setAsked('suspend')} disabledBecause={missing('change') ?? ended}>
          Suspend
        </Button>
      )}
      <Button
        look="danger"
        onClick={() => setAsked('abort')}
        disabledBecause={missing('change') ?? ended ?? (isAborting ? 'This run is being aborted.' : undefined)}
      >
        Abort
      </Button>
      <Button
        look="danger"
        onClick={() => setAsked('delete')}
        disabledBecause={
          missing('delete') ?? gone ?? (isFinished(run) ? undefined : 'It has not finished: abort it first.')
        }
      >
        Delete
      </Button>
      {asked ? <Asked act={asked} run={run} onClose={() => setAsked(undefined)} /> : null}
    </>
  );
}

function Asked({ act, run, onClose }: { act: Act; run: RunDetail; onClose: () => void }) {
  switch (act) {
    case 'abort':
      return <Abort run={run} onClose={onClose} />;
    case 'delete':
      return <Delete run={run} onClose={onClose} />;
    case 'rerun':
      return <Rerun run={run} onClose={onClose} />;
    default:
      return <Suspend run={run} suspend={act === 'suspend'} onClose={onClose} />;
  }
}

interface DialogProps {
  run: RunDetail;
  onClose: () => void;
}

function Abort({ run, onClose }: DialogProps) {
  const [message, setMessage] = useState('');
  const [cascade, setCascade] = useState(true);
  const { data } = useQuery(GraceOfDefinition, run.definitionId ? { id: run.definitionId } : null, run.namespace);
  const grace = data?.backgroundTasks?.getDefinition.data?.limits.abortGracePeriodSeconds;
  const children = numberOf(run, ['pending', 'running']);
  return (
    <ConfirmDialog
      title="Abort this run?"
      action="Abort the run"
      isDangerous
      onClose={onClose}
      onConfirm={async () => {
        const variables = { id: nameOf(run.id), message: message || null, cascade };
        dataOf((await send(AbortRun, variables, run.namespace)).backgroundTasks?.abortTask);
        say(<>Abort of {nameOf(run.id)} is requested. It ends when its pod has cleaned up.</>);
      }}
    >
      <p>
        {run.phase === 'Running' && run.podName
          ? `Its pod gets SIGTERM and ${grace === undefined ? 'its grace period' : `${grace} s`} to clean up; after that it is killed. No further pod is created.`
          : 'It has no pod at the moment, so it ends at once.'}{' '}
        An abort cannot be undone; a rerun starts from the beginning.
      </p>
      <InputField
        title="Message"
        help="Shown with the run, to say why."
        value={message}
        maxLength={1000}
        onChange={setMessage}
      />
      {children ? (
        <Check isOn={cascade} onChange={setCascade}>
          Also abort the {children === 1 ? 'unfinished run' : `${children} unfinished runs`} that it has started
        </Check>
      ) : null}
    </ConfirmDialog>
  );
}

function Delete({ run, onClose }: DialogProps) {
  const [cascade, setCascade] = useState(true);
  const children = numberOf(run);
  return (
    <ConfirmDialog
      title="Delete this run?"
      action="Delete the run"
      isDangerous
      onClose={onClose}
      onConfirm={async () => {
        const variables = { id: nameOf(run.id), cascade };
        dataOf((await send(DeleteRun, variables, run.namespace)).backgroundTasks?.deleteTask);
        say(<>{nameOf(run.id)} is deleted.</>);
      }}
    >
      <p>Its pods, records and logs are deleted with it. This cannot be undone.</p>
      {children ? (
        <Check isOn={cascade} onChange={setCascade}>
          Also delete the {children === 1 ? 'run' : `${children} runs`} that it has started
        </Check>
      ) : null}
    </ConfirmDialog>
  );
}

/** Returns how many runs it has started, of all or of some statuses. */
function numberOf(run: RunDetail, statuses?: string[]): number {
  const counted = (run.childCounts ?? []).filter(({ status }) => statuses?.includes(status) ?? true);
  return counted.reduce((sum, { count }) => sum + count, 0);
}

function Suspend({ run, suspend, onClose }: DialogProps & { suspend: boolean }) {
  return (
    <ConfirmDialog
      title={suspend ? 'Suspend this run?' : 'Resume this run?'}
      action={suspend ? 'Suspend the run' : 'Resume the run'}
      onClose={onClose}
      onConfirm={async () => {
        const variables = { id: nameOf(run.id), suspend };
        dataOf((await send(SuspendRun, variables, run.namespace)).backgroundTasks?.suspendTask);
        say(
          <>
            {nameOf(run.id)} is {suspend ? 'suspended' : 'resumed'}.
          </>,
        );
      }}
    >
      <p>
        {suspend
          ? 'No further pod is created until it is resumed. A pod that runs continues to its end.'
          : 'The next pod is created as soon as it is due and there is a free slot.'}
      </p>
    </ConfirmDialog>
  );
}

function Rerun({ run, onClose }: DialogProps) {
  return (
    <ConfirmDialog
      title="Run this again?"
      action="Rerun with the same input"
      onClose={onClose}
      onConfirm={async () => {
        const answer = await send(RerunRun, { id: nameOf(run.id) }, run.namespace);
        const { id, namespace } = dataOf(answer.backgroundTasks?.rerunTask);
        const to = runPath(namespace, nameOf(id));
        say(
          <>
            Started <Link to={to}>{nameOf(id)}</Link>.
          </>,
        );
        navigate(to);
      }}
    >
      <p>A new run starts with the definition as it is now. This run stays as it is.</p>
      {run.definitionId ? (
        <p>
          <Link to={triggerPath(run.namespace, run.definitionId, nameOf(run.id))}>Change the input first</Link>
        </p>
      ) : null}
    </ConfirmDialog>
  );
}

function Check({
  isOn,
  onChange,
  children,
}: {
  isOn: boolean;
  onChange: (isOn: boolean) => void;
  children: ReactNode;
}) {
  return (
    <label className="check">
      <input type="checkbox" checked={isOn} onChange={(event) => onChange(event.target.checked)} />
      <span>{children}</span>
    </label>
  );
}
