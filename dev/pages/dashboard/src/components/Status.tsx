import type { Run } from '../runs/documents';
import { AbortedSign, FailedSign, PendingSign, QueuedSign, RunningSign, SucceededSign, SuspendedSign } from './icons';

type Tone = 'good' | 'bad' | 'warn' | 'busy' | 'quiet';

interface Look {
  word: string;
  tone: Tone;
  Sign: typeof PendingSign;
}

const WAITS = new Set(['Delayed', 'Waiting', 'WaitingForChildren', 'WaitingForSignal', 'Retrying', 'Queued']);

/** Returns how the state of a run looks: a word, a form and a colour. */
export function lookOf({ phase, reason, suspended }: Pick<Run, 'phase' | 'reason' | 'suspended'>): Look {
  switch (phase) {
    case 'Succeeded':
      return { word: 'Succeeded', tone: 'good', Sign: SucceededSign };
    case 'Failed':
      return { word: 'Failed', tone: 'bad', Sign: FailedSign };
    case 'Aborted':
      return { word: 'Aborted', tone: 'quiet', Sign: AbortedSign };
    case 'Running':
      if (reason === 'Aborting') return { word: 'Aborting', tone: 'warn', Sign: AbortedSign };
      if (suspended) return { word: 'Suspended', tone: 'warn', Sign: SuspendedSign };
      if (reason && WAITS.has(reason)) return { word: 'Running', tone: 'busy', Sign: QueuedSign };
      return { word: 'Running', tone: 'busy', Sign: RunningSign };
    case 'Pending':
      if (suspended) return { word: 'Suspended', tone: 'warn', Sign: SuspendedSign };
      return { word: 'Pending', tone: 'quiet', Sign: reason && WAITS.has(reason) ? QueuedSign : PendingSign };
  }
}

interface Props {
  run: Pick<Run, 'phase' | 'reason' | 'suspended'>;
  isTag?: boolean;
  /** Only the sign; the word is read out and in the tooltip. */
  isShort?: boolean;
}

/** The state of a run, as a sign with its word. */
export function Status({ run, isTag = false, isShort = false }: Props) {
  const { word, tone, Sign } = lookOf(run);
  return (
    <span className={`status tone-${tone}${isTag ? ' tag' : ''}`} title={isShort ? word : undefined}>
      <Sign size={isShort ? 14 : 16} />
      <span className={isShort ? 'hidden' : undefined}>{word}</span>
    </span>
  );
}
