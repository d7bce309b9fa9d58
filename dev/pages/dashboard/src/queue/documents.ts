import { graphql } from '../api/graphql';
import { RunRow } from '../runs/documents';

export const GetQueue = graphql(
  `
  query GetQueue($definition: String!, $limit: Int!) {
    backgroundTasks {
      getQueue(definition: $definition) {
        data {
          definitionId
          active
          waiting
          limits { maxConcurrentRuns concurrency { key limit } }
          activeTasks(limit: $limit) { ...RunRow }
          waitingTasks(limit: $limit) { ...RunRow }
        }
        error { message code data }
      }
    }
  }
`,
  [RunRow],
);
