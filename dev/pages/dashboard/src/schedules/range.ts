/** How many runs a backfill starts, as far as the times that the gateway has computed reach. Pure. */
export interface Range {
  /** The times in the range that have passed. */
  times: string[];
  /** There are more of them than the gateway was asked for. */
  isMore: boolean;
}

/**
 * Returns the times of a range.
 *
 * @param computed the times from the begin of the range on, in order; there are at most `most` of them.
 * @param until the end of the range, exclusive, in milliseconds; later times are left to the schedule.
 * @param now the current time in milliseconds.
 */
export function inRange(computed: readonly string[], most: number, until: number, now: number): Range {
  const end = Math.min(until, now);
  const times = computed.filter((time) => Date.parse(time) < end);
  return { times, isMore: times.length === computed.length && computed.length >= most };
}

/** Returns how many minutes it takes at least to start so many runs. */
export function minutes(runs: number, startsPerMinute: number): number {
  return runs === 0 ? 0 : Math.max(1, Math.ceil(runs / startsPerMinute));
}
