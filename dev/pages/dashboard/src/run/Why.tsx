import { Markdown } from '../components/Markdown';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { namespacePath } from '../routing/paths';
import { spaced } from '../runs/RunTable';
import { absolute, duration, parsed } from '../time/format';
import { useNow } from '../time/now';
import type { RunDetail } from './documents';
import { isFinished } from './use-run';

/** What is happening, and why: the reason, what is waited for, until when, and what to do if it does not go away. */
export function Why({ run }: { run: RunDetail }) {
  if (run.phase === 'Succeeded' || run.phase === 'Failed') {
    return run.phase === 'Failed' || !run.message ? null : <p className="why-message">{plain(run.message)}</p>;
  }
  // What is awaited is shown below with the way to answer, in place of the commands that the documentation names.
  const isTrouble = run.isStalled || (run.diagnosis?.needsAction && !run.waitingFor) || false;
  return (
    <section className={`why ${isTrouble ? 'tone-warn why-trouble' : 'tone-busy'}`} aria-label="What is happening">
      <div className="why-head">
        <h2>{headline(run)}</h2>
        {run.nextIterationAt && !isFinished(run) ? (
          <Next at={run.nextIterationAt} what={run.waitingFor ? 'the wait ends' : 'next pod'} />
        ) : null}
      </div>
      {run.message ? <p className="why-text">{plain(run.message)}</p> : null}
      {run.queue ? (
        <p className="why-text">
          Place <strong className="number">{run.queue.position}</strong> of {run.queue.waiting} in the{' '}
          <Link to={namespacePath('/queue', run.namespace, { definition: run.definitionId ?? '' })}>queue</Link>;{' '}
          {run.queue.active} {run.queue.active === 1 ? 'run has' : 'runs have'} a slot
          {run.queue.maxConcurrentRuns ? ` of ${run.queue.maxConcurrentRuns}` : ''}.
        </p>
      ) : null}
      {run.diagnosis && (isTrouble || !run.message) ? (
        <dl className="advice">
          <div>
            <dt>Meaning</dt>
            <dd>
              <Markdown text={run.diagnosis.meaning} />
            </dd>
          </div>
          {run.diagnosis.advice ? (
            <div>
              <dt>What to do</dt>
              <dd>
                <Markdown text={run.diagnosis.advice} />
              </dd>
            </div>
          ) : null}
        </dl>
      ) : null}
    </section>
  );
}

function headline(run: RunDetail): string {
  switch (run.reason) {
    case null:
      return run.phase === 'Pending' ? 'The operator has not seen this run yet' : run.phase;
    case 'IterationRunning':
      return `Iteration ${run.iterations ?? 1} is running${run.podName ? ` in pod ${run.podName}` : ''}`;
    case 'Queued':
      return 'Waiting for a free slot';
    case 'WaitingForChildren':
      return 'Waiting for the runs that it has started';
    case 'WaitingForSignal':
      return run.waitingFor?.awaited?.some(({ type }) => type?.approval)
        ? 'Waiting for a decision'
        : 'Waiting for a signal';
    case 'Waiting':
      return 'Pausing until the next iteration';
    case 'Delayed':
      return 'Waiting for its start time';
    case 'Retrying':
      return 'Waiting to try again';
    case 'Aborting':
      return 'Being aborted: its pod is cleaning up';
    case 'Suspended':
      return 'Suspended: no pod is created until it is resumed';
    default:
      return spaced(run.reason);
  }
}

function Next({ at, what }: { at: string; what: string }) {
  const due = parsed(at);
  const now = useNow();
  if (due === undefined) return null;
  return (
    <span className="why-next number" title={absolute(due, 'local')}>
      {due > now ? `${what} in ${duration(due - now)}` : what === 'next pod' ? 'next pod is due' : 'its time is over'}
    </span>
  );
}
