import { graphql, type ResultOf } from '../api/graphql';

/** What a row of a list shows of a run. */
export const RunRow = graphql(`
  fragment RunRow on WebinyBackgroundTask {
    id
    version
    namespace
    name
    definitionId
    phase
    reason
    message
    createdOn
    startedOn
    finishedOn
    createdBy { id displayName }
    iterations
    maxIterations
    attempts
    suspended
    nextIterationAt
    queuePosition
    progress { percent message at }
    parentId
  }
`);

export type Run = ResultOf<typeof RunRow>;
export type Phase = Run['phase'];

export const ListRuns = graphql(
  `
  query ListRuns(
    $where: WebinyBackgroundTaskListWhereInput
    $sort: [WebinyBackgroundTaskListSorter!]
    $limit: Int
    $after: String
    $search: String
  ) {
    backgroundTasks {
      listTasks(where: $where, sort: $sort, limit: $limit, after: $after, search: $search) {
        data { ...RunRow }
        meta { cursor hasMoreItems }
        error { message code data }
      }
    }
  }
`,
  [RunRow],
);

export const CountRuns = graphql(`
  query CountRuns($where: WebinyBackgroundTaskListWhereInput, $search: String) {
    backgroundTasks {
      listTasks(where: $where, search: $search, limit: 1) {
        meta { totalCount }
        error { message code data }
      }
    }
  }
`);

/** Changes of the runs of a list. READY says that none is missed from then on, STALE that there are none at the moment. */
export const RunsUpdated = graphql(
  `
  subscription RunsUpdated($where: WebinyBackgroundTaskListWhereInput, $search: String) {
    taskUpdated(where: $where, search: $search, announce: true) { type id matches skipped task { ...RunRow } }
  }
`,
  [RunRow],
);
