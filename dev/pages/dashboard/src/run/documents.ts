import { graphql, type ResultOf } from '../api/graphql';
import { Wait } from '../inbox/documents';
import { RunRow } from '../runs/documents';

/** What the page of a run follows, with each change. */
export const RunDetail = graphql(
  `
  fragment RunDetail on WebinyBackgroundTask {
    ...RunRow
    ...Wait
    uid
    podName
    disruptions
    startAt
    rerunOf
    scheduled { scheduleId scheduledFor manual backfill }
    deletedOn
    isStalled
    abortedBy { id displayName }
    failure { message code }
    diagnosis { meaning advice needsAction }
    hooks { name outcome message }
    queue { position waiting active maxConcurrentRuns }
    childCounts { status count }
    ancestors { id name namespace definitionId phase reason suspended }
    failedLeaf { id name namespace message }
  }
`,
  [RunRow, Wait],
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

export const Attempt = graphql(`
  fragment Attempt on WebinyBackgroundTaskAttempt {
    id
    iteration
    attempt
    podName
    hook
    answer
    message
    errorCode
    cause
    exitCode
    createdOn
    startedOn
    finishedOn
    nodeName
    waitSeconds
    waitUntil
    waitsForChildren
    waitsForSignals
    pod { phase reason message createdOn scheduledOn startedOn finishedOn restarts }
  }
`);

export type Attempt = ResultOf<typeof Attempt>;

/** The attempts of a run, and the runs that it has started, for the timeline. */
export const GetHistory = graphql(
  `
  query GetHistory($id: ID!, $limit: Int!) {
    backgroundTasks {
      getTask(id: $id) {
        data {
          id
          history(limit: $limit) { ...Attempt }
          children(limit: 30, sort: [createdOn_ASC]) {
            data { id name namespace phase reason suspended createdOn startedOn finishedOn }
            meta { hasMoreItems }
            error { message code data }
          }
        }
        error { message code data }
      }
    }
  }
`,
  [Attempt],
);

type History = NonNullable<NonNullable<NonNullable<ResultOf<typeof GetHistory>['backgroundTasks']>['getTask']>['data']>;
export type TimelineChild = NonNullable<History['children']['data']>[number];

/** What the attempts of a run worked on, and what they printed. Each of these is read from the API server. */
export const GetAttemptData = graphql(`
  query GetAttemptData($id: ID!, $limit: Int!) {
    backgroundTasks {
      getTask(id: $id) {
        data {
          id
          history(limit: $limit) {
            id
            iteration
            attempt
            input
            checkpoint
            nextInput
            output
            error
            console { text droppedBytes problem }
          }
        }
        error { message code data }
      }
    }
  }
`);

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

export const GetManifest = graphql(`
  query GetManifest($id: ID!) {
    backgroundTasks {
      getTask(id: $id) {
        data { id manifest }
        error { message code data }
      }
    }
  }
`);

export const GetEvents = graphql(`
  query GetEvents($id: ID!) {
    backgroundTasks {
      getTask(id: $id) {
        data { id events { id type reason message kind name source count firstOn lastOn } }
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
          children(limit: 50, after: $after, sort: [createdOn_ASC]) {
            data { ...RunRow childCounts { status count } }
            meta { cursor hasMoreItems }
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

export const GraceOfDefinition = graphql(`
  query GraceOfDefinition($id: ID!) {
    backgroundTasks {
      getDefinition(id: $id) {
        data { id limits { abortGracePeriodSeconds } }
        error { message code data }
      }
    }
  }
`);

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
    taskLogs(id: $id, podOutput: true) {
      cursor source createdOn type message data error podName iteration attempt dropped
    }
  }
`);

export type LogLine = ResultOf<typeof FollowLogs>['taskLogs'];
