import { graphql, type ResultOf, type TadaDocumentNode, type VariablesOf } from '../api/graphql';
import { send } from '../api/http';
import { dataOf } from '../api/problems';
import type { Variables } from './filters';

const BulkAnswer = graphql(`
  fragment BulkAnswer on WebinyBackgroundTaskBulkResponse {
    data { id ok error { message code data } }
    meta { cursor hasMoreItems }
    error { message code data }
  }
`);

const AbortRuns = graphql(
  `
  mutation AbortRuns(
    $ids: [ID!]
    $where: WebinyBackgroundTaskListWhereInput
    $search: String
    $after: String
  ) {
    backgroundTasks {
      abortTasks(ids: $ids, where: $where, search: $search, after: $after, cascade: true) { ...BulkAnswer }
    }
  }
`,
  [BulkAnswer],
);

const SuspendRuns = graphql(
  `
  mutation SuspendRuns(
    $ids: [ID!]
    $where: WebinyBackgroundTaskListWhereInput
    $search: String
    $after: String
    $suspend: Boolean!
  ) {
    backgroundTasks {
      suspendTasks(ids: $ids, where: $where, search: $search, after: $after, suspend: $suspend) { ...BulkAnswer }
    }
  }
`,
  [BulkAnswer],
);

const RerunRuns = graphql(
  `
  mutation RerunRuns(
    $ids: [ID!]
    $where: WebinyBackgroundTaskListWhereInput
    $search: String
    $after: String
  ) {
    backgroundTasks {
      rerunTasks(ids: $ids, where: $where, search: $search, after: $after) { ...BulkAnswer }
    }
  }
`,
  [BulkAnswer],
);

const DeleteRuns = graphql(
  `
  mutation DeleteRuns(
    $ids: [ID!]
    $where: WebinyBackgroundTaskListWhereInput
    $search: String
    $after: String
  ) {
    backgroundTasks {
      deleteTasks(ids: $ids, where: $where, search: $search, after: $after, cascade: true) { ...BulkAnswer }
    }
  }
`,
  [BulkAnswer],
);

type Answer = ResultOf<typeof BulkAnswer>;
export type Outcome = NonNullable<Answer['data']>[number];
export type BulkAct = 'abort' | 'suspend' | 'resume' | 'rerun' | 'delete';

/** Which runs: some by their ids, or all that a list has. */
export type Chosen = { ids: readonly string[] } | { where: Variables['where']; search: Variables['search'] };

const MOST_AT_ONCE = 100;

/**
 * Does something with many runs, a hundred at a time.
 *
 * @param onOutcomes is called with the outcomes of each hundred.
 * @throws RequestError a request was refused as a whole; what was done before stays.
 */
export async function doInBulk(
  act: BulkAct,
  chosen: Chosen,
  namespace: string,
  onOutcomes: (outcomes: readonly Outcome[]) => void,
  signal: AbortSignal,
): Promise<void> {
  if ('ids' in chosen) {
    for (let begin = 0; begin < chosen.ids.length && !signal.aborted; begin += MOST_AT_ONCE) {
      const ids = chosen.ids.slice(begin, begin + MOST_AT_ONCE);
      onOutcomes(dataOf(await request(act, { ids }, namespace)));
    }
    return;
  }
  let after: string | null = null;
  do {
    const selected: Selected = { where: chosen.where ?? {}, search: chosen.search ?? null, after };
    const answer: Answer = await request(act, selected, namespace);
    onOutcomes(dataOf(answer));
    after = answer.meta?.hasMoreItems ? answer.meta.cursor : null;
  } while (after !== null && !signal.aborted);
}

type Selected = VariablesOf<typeof AbortRuns>;

async function request(act: BulkAct, selected: Selected, namespace: string): Promise<Answer> {
  const ask = <Data>(document: TadaDocumentNode<Data, Selected>) => send(document, selected, namespace);
  const answer = await (async () => {
    switch (act) {
      case 'abort':
        return (await ask(AbortRuns)).backgroundTasks?.abortTasks;
      case 'rerun':
        return (await ask(RerunRuns)).backgroundTasks?.rerunTasks;
      case 'delete':
        return (await ask(DeleteRuns)).backgroundTasks?.deleteTasks;
      default: {
        const variables = { ...selected, suspend: act === 'suspend' };
        return (await send(SuspendRuns, variables, namespace)).backgroundTasks?.suspendTasks;
      }
    }
  })();
  return answer ?? { data: null, meta: null, error: null };
}
