import { useRef, useState } from 'react';
import { problemOfThrown } from '../api/problems';
import { Button } from '../components/Button';
import { Dialog } from '../components/Dialog';
import { plain } from '../components/text';
import { nameOf } from '../routing/paths';
import { count } from '../time/format';
import { type BulkAct, type Chosen, doInBulk, type Outcome } from './bulk';

const WORDS: Record<BulkAct, { verb: string; done: string; follows: string; isDangerous: boolean }> = {
  abort: {
    verb: 'Abort',
    done: 'aborted',
    follows: 'Their pods get SIGTERM and their grace period to clean up. Runs that they have started are aborted, too.',
    isDangerous: true,
  },
  suspend: {
    verb: 'Suspend',
    done: 'suspended',
    follows: 'No further pods are created for them until they are resumed. Pods that run continue to their end.',
    isDangerous: false,
  },
  resume: {
    verb: 'Resume',
    done: 'resumed',
    follows: 'Their next pods are created as soon as they are due and there are free slots.',
    isDangerous: false,
  },
  rerun: {
    verb: 'Rerun',
    done: 'started again',
    follows: 'For each of them, a new run starts with the same input and the definition as it is now.',
    isDangerous: false,
  },
  delete: {
    verb: 'Delete',
    done: 'deleted',
    follows:
      'Their pods, records and logs are deleted, and so are the runs that they have started. This cannot be undone.',
    isDangerous: true,
  },
};
const MOST_SHOWN = 200;

interface Props {
  act: BulkAct;
  chosen: Chosen;
  total: number;
  namespace: string;
  onClose: (isDone: boolean) => void;
}

/** Asks once, then shows how far it is, and what became of each run. */
export function BulkDialog({ act, chosen, total, namespace, onClose }: Props) {
  const [state, setState] = useState<'asking' | 'busy' | 'done'>('asking');
  const [outcomes, setOutcomes] = useState<readonly Outcome[]>([]);
  const [failure, setFailure] = useState('');
  const controller = useRef(new AbortController());
  const { verb, done, follows, isDangerous } = WORDS[act];
  const failed = outcomes.filter((outcome) => !outcome.ok);

  async function run(): Promise<void> {
    setState('busy');
    try {
      const add = (more: readonly Outcome[]) => setOutcomes((before) => [...before, ...more]);
      await doInBulk(act, chosen, namespace, add, controller.current.signal);
    } catch (thrown) {
      const problem = problemOfThrown(thrown);
      setFailure('message' in problem ? problem.message : 'Your token is no longer accepted.');
    }
    setState('done');
  }

  function close(): void {
    controller.current.abort();
    onClose(state === 'done');
  }

  return (
    <Dialog
      title={`${verb} ${count(total)} ${total === 1 ? 'run' : 'runs'}${state === 'asking' ? '?' : ''}`}
      onClose={close}
    >
      <div className="confirm">
        {state === 'asking' ? <p>{follows}</p> : null}
        {state === 'asking' ? null : (
          <>
            <progress className="bulk-progress" max={Math.max(total, outcomes.length)} value={outcomes.length}>
              {outcomes.length}
            </progress>
            <p role="status">
              <span className="number">{count(outcomes.length - failed.length)}</span> {done}
              {failed.length ? (
                <>
                  , <span className="number">{count(failed.length)}</span> refused
                </>
              ) : null}
              {state === 'busy' ? ` of ${count(total)} …` : '.'}
            </p>
          </>
        )}
        {failed.length ? (
          // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard.
          <ul className="bulk-failed" tabIndex={0} aria-label="Refused">
            {failed.slice(0, MOST_SHOWN).map((outcome) => (
              <li key={outcome.id}>
                <span className="mono">{plain(nameOf(outcome.id), 100)}</span>:{' '}
                {plain(outcome.error?.message ?? '', 300)}
              </li>
            ))}
          </ul>
        ) : null}
        <p className="field-problem" role="alert">
          {failure}
        </p>
        <div className="dialog-actions">
          {state === 'asking' ? (
            <>
              <Button onClick={close}>Cancel</Button>
              <Button look="main" className={isDangerous ? 'button-main-danger' : ''} onClick={() => void run()}>
                {verb} {count(total)} {total === 1 ? 'run' : 'runs'}
              </Button>
            </>
          ) : (
            <Button onClick={close}>{state === 'busy' ? 'Stop' : 'Close'}</Button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
