import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { ListPage } from '../components/ListPage';
import { Empty, Notice, ProblemNotice } from '../components/Notice';
import { Status } from '../components/Status';
import { plain } from '../components/text';
import { ListDefinitions, type ListedDefinition } from '../definitions/documents';
import { Link, navigate, useAddress, withSearch } from '../routing/location';
import { ALL_NAMESPACES, nameOf, namespacePath, runPath } from '../routing/paths';
import type { Run } from '../runs/documents';
import { useChanges } from '../runs/use-changes';
import { count } from '../time/format';
import { Elapsed, Time } from '../time/Time';
import { GetQueue } from './documents';

const MOST = 100;

/** Who has the slots, and who waits for one, in which order. */
export function QueuePage({ namespace }: { namespace: string }) {
  const address = useAddress();
  const version = useChanges(namespace);
  const query = useQuery(ListDefinitions, {}, namespace, version);
  const answer = query.data?.backgroundTasks?.listDefinitions;
  const definitions = answer?.data;
  const busy = (definitions ?? []).filter((one) => one.activeRuns || one.queuedRuns);
  const asked = address.search.get('definition');
  const first = [...busy].sort((a, b) => (b.queuedRuns ?? 0) - (a.queuedRuns ?? 0))[0];
  const chosen = asked ?? (first ? nameOf(first.id) : undefined);
  const frame = { title: 'Queue', what: 'the queue', onRetry: query.refetch };
  if (namespace === ALL_NAMESPACES) {
    return (
      <ListPage {...frame} problem={undefined}>
        <Notice tone="info" title="Choose a namespace">
          Each definition of a namespace has a queue of its own.
        </Notice>
      </ListPage>
    );
  }
  const choice = definitions?.length ? (
    <label className="filter">
      <span>Definition</span>
      <select
        value={chosen ?? ''}
        onChange={(event) => navigate(withSearch(address, { definition: event.target.value, namespace }))}
      >
        {chosen === undefined ? <option value="">none is busy</option> : null}
        {definitions.map((one) => (
          <option key={one.id} value={nameOf(one.id)}>
            {plain(one.title, 60)} ({one.activeRuns ?? 0} active, {one.queuedRuns ?? 0} queued)
          </option>
        ))}
      </select>
    </label>
  ) : null;
  return (
    <ListPage {...frame} problem={problemIn(query, answer)} actions={choice}>
      {chosen === undefined && definitions ? (
        <Empty title="Nothing runs, and nothing waits">
          Runs that wait for a slot are shown here, with their place.
        </Empty>
      ) : null}
      {chosen === undefined ? null : (
        <Queue namespace={namespace} definition={chosen} version={version} known={definitions ?? []} />
      )}
    </ListPage>
  );
}

interface QueueProps {
  namespace: string;
  definition: string;
  version: number;
  known: readonly ListedDefinition[];
}

function Queue({ namespace, definition, version }: QueueProps) {
  const query = useQuery(GetQueue, { definition, limit: MOST }, namespace, version);
  const answer = query.data?.backgroundTasks?.getQueue;
  const queue = answer?.data;
  const problem = problemIn(query, answer);
  if (!queue) return problem ? <ProblemNotice problem={problem} what="the queue" onRetry={query.refetch} /> : null;
  const slots = queue.limits?.maxConcurrentRuns;
  return (
    <>
      <p className="lead">
        <span className="number">{count(queue.active)}</span>
        {slots ? <> of {slots}</> : null} {queue.active === 1 && !slots ? 'run has' : 'slots are taken'},{' '}
        <span className="number">{count(queue.waiting)}</span> {queue.waiting === 1 ? 'run waits' : 'runs wait'}.
        {queue.limits?.concurrency
          ? ` At most ${queue.limits.concurrency.limit} with the same ${queue.limits.concurrency.key}.`
          : ''}
      </p>
      <div className="halves">
        <Runs
          title="They have a slot"
          runs={queue.activeTasks ?? []}
          total={queue.active}
          all={namespacePath('/runs', namespace, { definition, status: 'Running' })}
          empty="No run has a pod."
        />
        <Runs
          title="They wait, in this order"
          runs={queue.waitingTasks ?? []}
          total={queue.waiting}
          all={namespacePath('/runs', namespace, { definition, reason: 'Queued' })}
          empty="No run waits for a slot."
          isNumbered
        />
      </div>
    </>
  );
}

interface RunsProps {
  title: string;
  runs: readonly Run[];
  total: number;
  all: string;
  empty: string;
  isNumbered?: boolean;
}

function Runs({ title, runs, total, all, empty, isNumbered = false }: RunsProps) {
  return (
    <section className="panel value">
      <h2>{title}</h2>
      {runs.length === 0 ? <p className="help">{empty}</p> : null}
      <ol className="rows">
        {runs.map((run, place) => (
          <li key={run.id}>
            {isNumbered ? <span className="rows-place number">{place + 1}</span> : <Status run={run} isShort />}
            <Link to={runPath(run.namespace, nameOf(run.id))} className="row-link">
              <bdi>{plain(nameOf(run.id), 100)}</bdi>
            </Link>
            <span className="rows-message" title={plain(run.message ?? '')}>
              {plain(run.name ?? '', 100)}
            </span>
            <span className="rows-end" title={isNumbered ? 'Created' : 'Runs since'}>
              {isNumbered ? <Time at={run.createdOn} /> : <Elapsed from={run.startedOn} to={run.finishedOn} />}
            </span>
          </li>
        ))}
      </ol>
      {total > runs.length ? <Link to={all}>All {count(total)}</Link> : null}
    </section>
  );
}
