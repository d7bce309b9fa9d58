import { graphql, type ResultOf } from '../api/graphql';
import { RunRow } from '../runs/documents';

export const ListDefinitionNames = graphql(`
  query ListDefinitionNames {
    backgroundTasks {
      listDefinitions {
        data { id title namespace }
        error { message code data }
      }
    }
  }
`);

export const ListDefinitions = graphql(`
  query ListDefinitions {
    backgroundTasks {
      listDefinitions {
        data {
          id
          name
          title
          description
          namespace
          suspended
          activeRuns
          queuedRuns
          maxConcurrentRuns
          readiness { isReady reason message }
          statistics { byStatus { status count } successRate durations { median p95 } }
        }
        error { message code data }
      }
    }
  }
`);

type Listed = NonNullable<ResultOf<typeof ListDefinitions>['backgroundTasks']>['listDefinitions'];
export type ListedDefinition = NonNullable<Listed['data']>[number];

export const GetDefinition = graphql(
  `
  query GetDefinition($id: ID!) {
    backgroundTasks {
      getDefinition(id: $id) {
        data {
          id
          name
          title
          description
          namespace
          suspended
          activeRuns
          queuedRuns
          hooks
          triggers
          reporting
          inputSchema
          signals { name description payloadSchema approval { required groups excludeCreator } }
          manifest
          readiness { isReady reason message }
          limits {
            maxIterations
            maxConcurrentRuns
            concurrency { key limit }
            maxChildren
            iterationTimeoutSeconds
            pendingTimeoutSeconds
            abortGracePeriodSeconds
            heartbeatTimeoutSeconds
            retry { limit initialSeconds factor maxSeconds on }
            disruptionRetries
            ttlSecondsAfterFinished
            historyIterations
            historyRuns
          }
          statistics {
            byStatus { status count }
            successRate
            durations { median p95 longest }
            queueSeconds { median p95 longest }
            iterations { median p95 longest }
          }
          lastTasks(limit: 10) { ...RunRow }
        }
        error { message code data }
      }
    }
  }
`,
  [RunRow],
);

type Got = NonNullable<ResultOf<typeof GetDefinition>['backgroundTasks']>['getDefinition'];
export type DefinitionDetail = NonNullable<Got['data']>;
