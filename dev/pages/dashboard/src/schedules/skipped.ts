import { isObject, type Json } from '../json/json';

/** Why times were skipped, by the fields of the schedule's status. */
const WORDS: Readonly<Record<string, string>> = {
  overlap: 'a run was unfinished',
  bufferFull: 'too many waited',
  replaced: 'a later time came',
  suspended: 'suspended',
  nameTaken: 'the name was taken',
};

export interface SkippedReason {
  words: string;
  count: number;
}

/** Returns why times were skipped, and how often, the most frequent reason first; without reasons that never applied. */
export function skippedReasons(skipped: Json): SkippedReason[] {
  if (!isObject(skipped)) return [];
  return Object.entries(skipped)
    .map(([reason, count]) => ({ words: WORDS[reason] ?? reason, count: typeof count === 'number' ? count : 0 }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.count - a.count);
}

/** Returns how many times were skipped. */
export function skippedTotal(skipped: Json): number {
  return skippedReasons(skipped).reduce((sum, { count }) => sum + count, 0);
}
