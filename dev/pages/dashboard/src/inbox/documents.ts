import { graphql, type ResultOf } from '../api/graphql';

/** What a run waits for, whether the user may send it, and what has been decided so far. */
export const Wait = graphql(`
  fragment Wait on WebinyBackgroundTask {
    id
    namespace
    name
    message
    iterations
    waitingFor {
      count
      since
      until
      awaited { name refusal type { description approval { required groups excludeCreator } } }
    }
    approvals { signal decision by at iteration }
  }
`);

export type Wait = ResultOf<typeof Wait>;
export type Awaited = NonNullable<NonNullable<NonNullable<Wait['waitingFor']>['awaited']>[number]>;
export type Approval = Wait['approvals'][number];

export const ListWaiting = graphql(
  `
  query ListWaiting($mine: Boolean!, $after: String) {
    backgroundTasks {
      listWaiting(mine: $mine, limit: 50, after: $after) {
        data { ...Wait definitionId createdBy { displayName } }
        meta { cursor hasMoreItems totalCount }
        error { message code data }
      }
    }
  }
`,
  [Wait],
);

type Listed = NonNullable<ResultOf<typeof ListWaiting>['backgroundTasks']>['listWaiting'];
export type WaitingRun = NonNullable<Listed['data']>[number];

export const CountWaiting = graphql(`
  query CountWaiting {
    backgroundTasks {
      listWaiting(mine: true, limit: 1) {
        meta { totalCount }
        error { message code data }
      }
    }
  }
`);

/** The schema of what is awaited, and what was sent already. Both are read from the API server. */
export const GetSignals = graphql(`
  query GetSignals($id: ID!) {
    backgroundTasks {
      getTask(id: $id) {
        data {
          id
          waitingFor { awaited { name type { payloadSchema } } }
          signals { id signal payload decision sender phase reason message createdOn }
        }
        error { message code data }
      }
    }
  }
`);

type Answered = NonNullable<ResultOf<typeof GetSignals>['backgroundTasks']>['getTask'];
export type SentSignal = NonNullable<NonNullable<Answered['data']>['signals']>[number];

export const SendSignal = graphql(`
  mutation SendSignal(
    $id: ID!
    $signal: String!
    $payload: JSON
    $decision: BackgroundTaskDecision
    $key: String!
  ) {
    backgroundTasks {
      signalTask(id: $id, signal: $signal, payload: $payload, decision: $decision, idempotencyKey: $key) {
        data { id phase }
        error { message code data }
      }
    }
  }
`);
