import { graphql, type ResultOf } from '../api/graphql';

/** What a row of a list shows of a schedule. */
export const ScheduleRow = graphql(`
  fragment ScheduleRow on BackgroundTaskSchedule {
    id
    namespace
    definition
    rules
    timeZone
    overlap
    suspended
    suspendNote
    suspendedBy
    ready
    reason
    message
    nextTimes
    lastRun { id scheduledFor phase startedOn finishedOn }
    active { id scheduledFor backfill }
    buffered
    started
    missed
    skipped
  }
`);

export type ListedSchedule = ResultOf<typeof ScheduleRow>;

export const ListSchedules = graphql(
  `
  query ListSchedules($definition: String) {
    backgroundTasks {
      listSchedules(definition: $definition) {
        data { ...ScheduleRow }
        error { message code data }
      }
    }
  }
`,
  [ScheduleRow],
);

export const GetSchedule = graphql(
  `
  query GetSchedule($id: ID!) {
    backgroundTasks {
      getSchedule(id: $id) {
        data {
          ...ScheduleRow
          succeeded
          failed
          aborted
          consecutiveFailures
          createdOn
          createdBy
          manifest
          conditions { type status reason message changedOn }
          options {
            daylightSaving
            startAt
            endAt
            exclusions
            jitterSeconds
            maxBuffered
            missedPolicy
            missedWindowSeconds
            pauseOnFailures
          }
          backfills { name from until overlap startsPerMinute processedUntil started existing finishedOn }
        }
        error { message code data }
      }
    }
  }
`,
  [ScheduleRow],
);

type Got = NonNullable<ResultOf<typeof GetSchedule>['backgroundTasks']>['getSchedule'];
export type ScheduleDetail = NonNullable<Got['data']>;
export type Backfill = ScheduleDetail['backfills'][number];

/** Says that schedules have changed, and first that no change is missed from then on. */
export const ScheduleUpdated = graphql(`
  subscription ScheduleUpdated($id: ID) {
    scheduleUpdated(id: $id, announce: true) { id deleted isReady }
  }
`);

/** Names of definitions, for the example of a schedule. */
export const NameOfDefinition = graphql(`
  query NameOfDefinition {
    backgroundTasks {
      listDefinitions { data { name } error { message code data } }
    }
  }
`);

export const PreviewTimes = graphql(`
  query PreviewTimes($id: ID!, $start: DateTime!, $count: Int!) {
    backgroundTasks {
      previewSchedule(id: $id, start: $start, count: $count) { data error { message code data } }
    }
  }
`);

export const TriggerSchedule = graphql(`
  mutation TriggerSchedule($id: ID!, $key: String!) {
    backgroundTasks {
      triggerSchedule(id: $id, idempotencyKey: $key) { data { id namespace } error { message code data } }
    }
  }
`);

export const SuspendSchedule = graphql(`
  mutation SuspendSchedule($id: ID!, $suspend: Boolean!, $note: String) {
    backgroundTasks {
      suspendSchedule(id: $id, suspend: $suspend, note: $note) { data { id suspended } error { message code data } }
    }
  }
`);

export const BackfillSchedule = graphql(`
  mutation BackfillSchedule(
    $id: ID!
    $start: DateTime!
    $until: DateTime!
    $overlap: BackgroundTaskBackfillOverlap!
    $startsPerMinute: Int!
  ) {
    backgroundTasks {
      backfillSchedule(id: $id, start: $start, until: $until, overlap: $overlap, startsPerMinute: $startsPerMinute) {
        data { id }
        error { message code data }
      }
    }
  }
`);

export const StopBackfill = graphql(`
  mutation StopBackfill($id: ID!, $name: String!) {
    backgroundTasks {
      stopBackfill(id: $id, name: $name) { data { id } error { message code data } }
    }
  }
`);

export const DeleteSchedule = graphql(`
  mutation DeleteSchedule($id: ID!) {
    backgroundTasks {
      deleteSchedule(id: $id) { data error { message code data } }
    }
  }
`);
