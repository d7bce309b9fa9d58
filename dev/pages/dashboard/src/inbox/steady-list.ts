/**
 * The rows of a list that is read again while a user works in it.
 *
 * Nothing moves under the pointer: while the list is in use, rows that are gone stay in place and are marked, and new
 * ones wait until the reader asks for them.
 */
export interface SteadyList<Item> {
  rows: { item: Item; isOver: boolean }[];
  /** How many new ones are not shown. */
  waiting: number;
}

/**
 * @param shown what is shown; undefined: nothing yet.
 * @param current what there is now.
 * @param isInUse whether a row must not move.
 */
export function steady<Item extends { id: string }>(
  shown: SteadyList<Item> | undefined,
  current: readonly Item[],
  isInUse: boolean,
): SteadyList<Item> {
  if (!shown || !isInUse) return { rows: current.map((item) => ({ item, isOver: false })), waiting: 0 };
  const now = new Map(current.map((item) => [item.id, item]));
  const rows = shown.rows.map((row) => {
    const item = now.get(row.item.id);
    now.delete(row.item.id);
    return item ? { item, isOver: false } : { ...row, isOver: true };
  });
  return { rows, waiting: now.size };
}
