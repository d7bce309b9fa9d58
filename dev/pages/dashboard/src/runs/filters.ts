import type { VariablesOf } from '../api/graphql';
import { parsed } from '../time/format';
import type { ListRuns, Phase } from './documents';

/** Which runs a list shows, and how. The address of the page has exactly this. */
export interface Filters {
  phases: Phase[];
  definition: string;
  search: string;
  reason: string;
  createdBy: string;
  schedule: string;
  /** A range such as `24h`, counted back from now, or the text of a time. */
  from: string;
  to: string;
  /** Only runs that no other run has started. */
  rootsOnly: boolean;
  sort: Sort;
  columns: Column[];
}

export type Variables = VariablesOf<typeof ListRuns>;
export type Sort = NonNullable<NonNullable<Variables['sort']>[number]>;

export const PHASES: readonly Phase[] = ['Pending', 'Running', 'Succeeded', 'Failed', 'Aborted'];

const STATUS_OF: Record<Phase, string> = {
  Pending: 'pending',
  Running: 'running',
  Succeeded: 'success',
  Failed: 'failed',
  Aborted: 'aborted',
};

export const COLUMNS = {
  phase: { title: 'Status', sort: 'taskStatus' },
  name: { title: 'Name', sort: 'name' },
  definition: { title: 'Definition', sort: 'definitionId' },
  why: { title: 'Reason', sort: undefined },
  iterations: { title: 'Iterations', sort: 'iterations' },
  progress: { title: 'Progress', sort: undefined },
  created: { title: 'Created', sort: 'createdOn' },
  started: { title: 'Started', sort: 'startedOn' },
  finished: { title: 'Finished', sort: 'finishedOn' },
  duration: { title: 'Duration', sort: undefined },
  createdBy: { title: 'Created by', sort: undefined },
  namespace: { title: 'Namespace', sort: undefined },
} as const satisfies Record<string, { title: string; sort: string | undefined }>;

export type Column = keyof typeof COLUMNS;

export const DEFAULT_COLUMNS: readonly Column[] = [
  'phase',
  'name',
  'definition',
  'why',
  'progress',
  'created',
  'duration',
];
export const DEFAULT_SORT: Sort = 'createdOn_DESC';
/** Name and status are always shown. */
export const FIXED_COLUMNS: readonly Column[] = ['phase', 'name'];

export const NO_FILTERS: Filters = {
  phases: [],
  definition: '',
  search: '',
  reason: '',
  createdBy: '',
  schedule: '',
  from: '',
  to: '',
  rootsOnly: false,
  sort: DEFAULT_SORT,
  columns: [...DEFAULT_COLUMNS],
};

/** The ranges that can be chosen, with their length in milliseconds. */
export const RANGES: Readonly<Record<string, { title: string; ms: number }>> = {
  '1h': { title: 'last hour', ms: 3_600_000 },
  '24h': { title: 'last 24 hours', ms: 86_400_000 },
  '7d': { title: 'last 7 days', ms: 7 * 86_400_000 },
  '30d': { title: 'last 30 days', ms: 30 * 86_400_000 },
};

const NAMES = [
  'status',
  'definition',
  'search',
  'reason',
  'by',
  'schedule',
  'from',
  'to',
  'roots',
  'sort',
  'columns',
] as const;

/** Reads the filters of an address. What it does not understand, it ignores. */
export function fromSearch(search: URLSearchParams): Filters {
  const phases = list(search.get('status')).filter((value): value is Phase => PHASES.some((phase) => phase === value));
  const columns = list(search.get('columns')).filter((value): value is Column => Object.hasOwn(COLUMNS, value));
  return {
    phases: PHASES.filter((phase) => phases.includes(phase)),
    definition: search.get('definition') ?? '',
    search: search.get('search') ?? '',
    reason: search.get('reason') ?? '',
    createdBy: search.get('by') ?? '',
    schedule: search.get('schedule') ?? '',
    from: search.get('from') ?? '',
    to: search.get('to') ?? '',
    rootsOnly: search.get('roots') === 'true',
    sort: sortOf(search.get('sort')),
    columns: columns.length ? withFixed(columns) : [...DEFAULT_COLUMNS],
  };
}

/** Writes filters into an address; values that are as usual are left out. Other values of the address stay. */
export function toSearch(filters: Filters, search: URLSearchParams): URLSearchParams {
  const result = new URLSearchParams(search);
  for (const name of NAMES) result.delete(name);
  const values: Record<(typeof NAMES)[number], string> = {
    status: filters.phases.join(','),
    definition: filters.definition,
    search: filters.search,
    reason: filters.reason,
    by: filters.createdBy,
    schedule: filters.schedule,
    from: filters.from,
    to: filters.to,
    roots: filters.rootsOnly ? 'true' : '',
    sort: filters.sort === DEFAULT_SORT ? '' : filters.sort,
    columns: isSame(filters.columns, DEFAULT_COLUMNS) ? '' : filters.columns.join(','),
  };
  for (const name of NAMES) if (values[name]) result.set(name, values[name]);
  return result;
}

/** Returns how many filters are set; sort and columns hide nothing. */
export function numberOfFilters(filters: Filters): number {
  const { phases, definition, search, reason, createdBy, schedule, from, to, rootsOnly } = filters;
  return [phases.length, definition, search, reason, createdBy, schedule, from, to, rootsOnly].filter(Boolean).length;
}

/** Returns the arguments of the gateway's list; `now` is what a range such as `24h` counts back from. */
export function toVariables(filters: Filters, now: number): Variables {
  const from = timeOf(filters.from, now);
  const to = timeOf(filters.to, now);
  return {
    where: {
      ...(filters.phases.length ? { taskStatus_in: filters.phases.map((phase) => STATUS_OF[phase]) } : {}),
      ...(filters.definition ? { definitionId: filters.definition } : {}),
      ...(filters.reason ? { reason: filters.reason } : {}),
      ...(filters.createdBy ? { createdBy: filters.createdBy } : {}),
      ...(filters.schedule ? { scheduleId: filters.schedule } : {}),
      ...(from === undefined ? {} : { createdOn_gte: new Date(from).toISOString() }),
      ...(to === undefined ? {} : { createdOn_lte: new Date(to).toISOString() }),
      ...(filters.rootsOnly ? { parentId_in: [null] } : {}),
    },
    sort: [filters.sort],
    search: filters.search || null,
  };
}

/** Returns the time that the text of a range or a time means, or undefined. */
export function timeOf(text: string, now: number): number | undefined {
  const range = Object.hasOwn(RANGES, text) ? RANGES[text] : undefined;
  return range ? now - range.ms : parsed(text);
}

/** Returns the sort that a click on a column's title asks for: up, then down. */
export function nextSort(current: Sort, column: Column): Sort | undefined {
  const field = COLUMNS[column].sort;
  if (!field) return undefined;
  return `${field}_${current === `${field}_DESC` ? 'ASC' : 'DESC'}` as Sort;
}

function sortOf(text: string | null): Sort {
  const fields: (string | undefined)[] = Object.values(COLUMNS).map(({ sort }) => sort);
  const [field, direction] = (text ?? '').split('_');
  const isKnown = field && fields.includes(field) && (direction === 'ASC' || direction === 'DESC');
  return isKnown ? (text as Sort) : DEFAULT_SORT;
}

function withFixed(columns: Column[]): Column[] {
  return [...FIXED_COLUMNS, ...columns.filter((column) => !FIXED_COLUMNS.includes(column))];
}

function list(text: string | null): string[] {
  return text ? text.split(',') : [];
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, place) => value === b[place]);
}
