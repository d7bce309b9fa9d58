import { graphql, type ResultOf } from '../api/graphql';
import { RunRow } from '../runs/documents';

export const GetOverview = graphql(
  `
  query GetOverview($since: DateTime!, $interval: Int!) {
    backgroundTasks {
      overview(since: $since, intervalSeconds: $interval) {
        data {
          since
          until
          intervalSeconds
          created
          finished { status count }
          failures { reason count }
          successRate
          durations { median p95 longest }
          queueSeconds { median p95 longest }
          iterations { median p95 longest }
          intervals { start created finished { status count } }
        }
        error { message code data }
      }
      statistics {
        data { total byStatus { status count } }
        error { message code data }
      }
      failed: listTasks(where: { taskStatus: "failed" }, limit: 6) {
        data { ...RunRow }
        error { message code data }
      }
      stuck: listTasks(where: { taskStatus_in: ["pending", "running"] }, sort: [createdOn_ASC], limit: 6) {
        data { ...RunRow }
        error { message code data }
      }
    }
  }
`,
  [RunRow],
);

type Answer = NonNullable<ResultOf<typeof GetOverview>['backgroundTasks']>;
export type Overview = NonNullable<Answer['overview']['data']>;
