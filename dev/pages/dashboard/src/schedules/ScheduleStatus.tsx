import { FailedSign, PendingSign, QueuedSign, SucceededSign, SuspendedSign } from '../components/icons';
import { spaced } from '../runs/RunTable';
import type { ListedSchedule } from './documents';

type State = Pick<ListedSchedule, 'suspended' | 'ready' | 'reason'>;

interface Look {
  word: string;
  tone: 'good' | 'bad' | 'warn' | 'busy' | 'quiet';
  Sign: typeof PendingSign;
}

function lookOf({ suspended, ready, reason }: State): Look {
  if (ready === false) return { word: spaced(reason ?? 'Not ready'), tone: 'bad', Sign: FailedSign };
  if (suspended) return { word: 'Suspended', tone: 'warn', Sign: SuspendedSign };
  if (ready === null) return { word: 'New', tone: 'quiet', Sign: PendingSign };
  if (reason === 'NoMoreTimes') return { word: 'Ended', tone: 'quiet', Sign: SucceededSign };
  return { word: 'Scheduling', tone: 'busy', Sign: QueuedSign };
}

/** The state of a schedule, as a sign with its word. */
export function ScheduleStatus({ schedule, isTag = false }: { schedule: State; isTag?: boolean }) {
  const { word, tone, Sign } = lookOf(schedule);
  return (
    <span className={`status tone-${tone}${isTag ? ' tag' : ''}`}>
      <Sign />
      <span>{word}</span>
    </span>
  );
}
