import { AbortedSign, FailedSign, PendingSign, QueuedSign, RunningSign, SucceededSign } from '../components/icons';
import type { Attempt } from './documents';

interface Look {
  word: string;
  tone: 'good' | 'bad' | 'warn' | 'busy' | 'quiet';
  Sign: typeof PendingSign;
}

/** Returns how the end of an attempt looks. */
export function answerLook(attempt: Pick<Attempt, 'answer' | 'startedOn' | 'finishedOn'>): Look {
  switch (attempt.answer) {
    case 'done':
      return { word: 'Done', tone: 'good', Sign: SucceededSign };
    case 'continue':
      return { word: 'Continue', tone: 'good', Sign: SucceededSign };
    case 'error':
      return { word: 'Error', tone: 'bad', Sign: FailedSign };
    case 'aborted':
      return { word: 'Aborted', tone: 'quiet', Sign: AbortedSign };
    case 'disrupted':
      return { word: 'Disrupted', tone: 'warn', Sign: AbortedSign };
    default:
      if (attempt.finishedOn) return { word: 'Ended', tone: 'quiet', Sign: QueuedSign };
      if (attempt.startedOn) return { word: 'Working', tone: 'busy', Sign: RunningSign };
      return { word: 'Starting', tone: 'quiet', Sign: PendingSign };
  }
}

/** Returns the newest attempt that failed: what a failed run is about. */
export function failedAttempt(history: readonly Attempt[]): Attempt | undefined {
  return (
    history.find((attempt) => attempt.answer === 'error' && attempt.iteration > 0) ??
    history.find((attempt) => attempt.answer === 'error')
  );
}

/** Returns the end of a text: its last lines. */
export function lastLines(text: string, most: number): string {
  const lines = text.trimEnd().split('\n');
  return lines.slice(-most).join('\n');
}

/** Returns why an attempt failed in a few words: exit code 3, OOMKilled, timeout. */
export function causeOf(attempt: Pick<Attempt, 'errorCode' | 'cause' | 'exitCode'>): string {
  const words = [];
  if (attempt.errorCode) words.push(attempt.errorCode);
  if (attempt.cause && attempt.cause !== attempt.errorCode) words.push(attempt.cause);
  if (attempt.exitCode !== null) words.push(`exit code ${attempt.exitCode}`);
  return words.join(', ');
}
