import { isObject, type Json } from '../json/json';
import type { Approval, Awaited, SentSignal, Wait } from './documents';

/** Returns the decisions of this wait about a signal; earlier waits were other questions. */
export function decisionsOf(
  { approvals, iterations }: Pick<Wait, 'approvals' | 'iterations'>,
  signal: string,
): Approval[] {
  return approvals.filter((one) => one.signal === signal && one.iteration === iterations);
}

/** Returns how far a wait has come: 1 of 2 approvals; nothing where one signal ends it. */
export function progressOf(wait: Pick<Wait, 'approvals' | 'iterations'>, { name, type }: Awaited): string {
  const required = type?.approval?.required;
  if (!required) return '';
  const users = new Set(
    decisionsOf(wait, name)
      .filter(({ decision }) => decision === 'Approve')
      .map(({ by }) => by),
  );
  return `${users.size} of ${required} ${required === 1 ? 'approval' : 'approvals'}`;
}

/** Returns who may decide, as a sentence; nothing if every user may who can send signals. */
export function whoMayDecide({ type }: Awaited): string {
  const { groups = null, excludeCreator = false } = type?.approval ?? {};
  const members = groups ? `members of ${groups.join(' or ')}` : '';
  const others = excludeCreator ? 'not the creator of the run' : '';
  const words = [members, others].filter(Boolean).join(', ');
  return words ? `By ${members ? words : `others, ${words}`}.` : '';
}

/** Returns the signals of one name that this wait has got: what earlier waits have consumed is left out. */
export function sentSoFar(sent: readonly SentSignal[], name: string): SentSignal[] {
  return sent.filter(({ signal, phase }) => signal === name && phase !== 'Consumed');
}

export function commentKey(signal: string, by: string): string {
  return `${signal} ${by}`;
}

/** Returns what those who have decided have said. */
export function commentsOf(sent: readonly SentSignal[]): Map<string, string> {
  const comments = new Map<string, string>();
  for (const { signal, sender, payload, phase } of sent) {
    const comment = commentIn(payload);
    if (comment && sender && phase !== 'Rejected') comments.set(commentKey(signal, sender), comment);
  }
  return comments;
}

/** Returns the comment in a payload, where a person has left one. */
export function commentIn(payload: Json): string {
  const comment = isObject(payload) ? payload['comment'] : undefined;
  return typeof comment === 'string' ? comment : '';
}
