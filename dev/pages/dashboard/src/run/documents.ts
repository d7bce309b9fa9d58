import { graphql, type ResultOf } from '../api/graphql';
import { RunRow } from '../runs/documents';

/** What the page of a run follows, with each change. */
export const RunDetail = graphql(
  `
  fragment RunDetail on WebinyBackgroundTask {
    ...RunRow
    executionName
    disruptions
    startAt
    rerunOf
    abortedBy { id displayName }
  }
`,
  [RunRow],
);

export type RunDetail = ResultOf<typeof RunDetail>;

export const GetRun = graphql(
  `
  query GetRun($id: ID!) {
    backgroundTasks {
      getTask(id: $id) {
        data { ...RunDetail }
        error { message code data }
      }
    }
  }
`,
  [RunDetail],
);

export const RunUpdated = graphql(
  `
  subscription RunUpdated($id: ID!) {
    taskUpdated(id: $id) { type id task { ...RunDetail } }
  }
`,
  [RunDetail],
);

export const GetPayloads = graphql(`
  query GetPayloads($id: ID!) {
    backgroundTasks {
      getTask(id: $id) {
        data { id input output }
        error { message code data }
      }
    }
  }
`);

export const ListAttempts = graphql(`
  query ListAttempts($run: String!) {
    backgroundTasks {
      listLogs(where: { task: $run }, sort: [createdOn_ASC], limit: 100) {
        data { id iteration attempt executionName createdOn finishedOn answer message }
        error { message code data }
      }
    }
  }
`);

export const ListChildren = graphql(
  `
  query ListChildren($id: ID!, $after: String) {
    backgroundTasks {
      getTask(id: $id) {
        data {
          id
          parent { ...RunRow }
          children(limit: 50, after: $after, sort: [createdOn_ASC]) {
            data { ...RunRow children(limit: 1) { meta { totalCount } } }
            meta { cursor hasMoreItems totalCount }
            error { message code data }
          }
        }
        error { message code data }
      }
    }
  }
`,
  [RunRow],
);

export const AbortRun = graphql(`
  mutation AbortRun($id: ID!, $message: String, $cascade: Boolean!) {
    backgroundTasks {
      abortTask(id: $id, message: $message, cascade: $cascade) { data { id phase reason } error { message code data } }
    }
  }
`);

export const SuspendRun = graphql(`
  mutation SuspendRun($id: ID!, $suspend: Boolean!) {
    backgroundTasks {
      suspendTask(id: $id, suspend: $suspend) { data { id suspended } error { message code data } }
    }
  }
`);

export const DeleteRun = graphql(`
  mutation DeleteRun($id: ID!, $cascade: Boolean!) {
    backgroundTasks {
      deleteTask(id: $id, cascade: $cascade) { data error { message code data } }
    }
  }
`);

export const RerunRun = graphql(`
  mutation RerunRun($id: ID!, $input: JSON) {
    backgroundTasks {
      rerunTask(id: $id, input: $input) { data { id namespace } error { message code data } }
    }
  }
`);

export const FollowLogs = graphql(`
  subscription FollowLogs($id: ID!) {
    taskLogs(id: $id, podOutput: true) { source createdOn type message data error podName iteration dropped }
  }
`);

export type LogLine = ResultOf<typeof FollowLogs>['taskLogs'];
