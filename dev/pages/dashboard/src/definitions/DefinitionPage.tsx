import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { DetailPage, UnreadPage } from '../components/DetailPage';
import { Facts } from '../components/Facts';
import { Notice } from '../components/Notice';
import { PhaseCounts } from '../components/PhaseCounts';
import { Tile } from '../components/Tile';
import { plain } from '../components/text';
import { JsonView } from '../json/JsonView';
import { YamlView } from '../json/YamlView';
import { Link, navigate } from '../routing/location';
import { definitionPath, nameOf, namespacePath, triggerPath } from '../routing/paths';
import { RunRows } from '../runs/RunRows';
import { useChanges } from '../runs/use-changes';
import { SchedulesOf } from '../schedules/SchedulesOf';
import { useRights } from '../shell/rights';
import { count, duration } from '../time/format';
import { type DefinitionDetail, GetDefinition } from './documents';
import { percent } from './percent';
import { SignalTypes } from './SignalTypes';

/** One definition: what it takes, its limits, how its runs do. */
export function DefinitionPage({ namespace, id }: { namespace: string; id: string }) {
  const version = useChanges(namespace, { definitionId: id });
  const query = useQuery(GetDefinition, { id }, namespace, version);
  const answer = query.data?.backgroundTasks?.getDefinition;
  const definition = answer?.data;
  const { missing } = useRights();
  const all = namespacePath('/definitions', namespace);
  if (!definition) {
    return (
      <UnreadPage
        name={id}
        problem={problemIn(query, answer)}
        what="this definition"
        onRetry={query.refetch}
        missing={
          answer && !answer.error
            ? { title: 'There is no such definition', text: <Link to={all}>All definitions</Link> }
            : undefined
        }
      />
    );
  }
  return (
    <DetailPage
      crumbs={<Link to={all}>Definitions</Link>}
      title={definition.title}
      note={<span className="mono second">{plain(nameOf(definition.id), 100)}</span>}
      actions={
        <>
          <Button onClick={() => navigate(namespacePath('/runs', namespace, { definition: nameOf(definition.id) }))}>
            Its runs
          </Button>
          <Button
            look="main"
            disabledBecause={missing('trigger')}
            onClick={() => navigate(triggerPath(namespace, nameOf(definition.id)))}
          >
            Start a run
          </Button>
        </>
      }
    >
      {definition.description ? <p className="lead">{plain(definition.description)}</p> : null}
      {definition.suspended ? (
        <Notice tone="warn" title="This definition is suspended">
          No pods are created for its runs until it is resumed.
        </Notice>
      ) : null}
      {definition.readiness && !definition.readiness.isReady ? (
        <Notice tone="warn" title={`Its pods cannot be created: ${definition.readiness.reason}`}>
          {plain(definition.readiness.message)}
        </Notice>
      ) : null}
      <Statistics definition={definition} />
      <div className="halves">
        <LastRuns definition={definition} />
        <Limits definition={definition} />
      </div>
      <SchedulesOf namespace={namespace} definition={nameOf(definition.id)} />
      {definition.signals?.length ? <SignalTypes signals={definition.signals} /> : null}
      <div className="halves">
        <section className="panel value">
          <h2>Input</h2>
          {definition.inputSchema ? (
            <JsonView value={definition.inputSchema} name={`${definition.name}-input-schema`} />
          ) : (
            <p className="help">It has no schema: any JSON object is accepted.</p>
          )}
        </section>
        {definition.manifest ? (
          <section className="panel value">
            <h2>Manifest</h2>
            <YamlView value={definition.manifest} name={definition.name} />
          </section>
        ) : null}
      </div>
    </DetailPage>
  );
}

function Statistics({ definition: { statistics, activeRuns, queuedRuns, namespace, id, limits } }: Props) {
  const seconds = (value: number) => duration(value * 1000);
  const { durations = null, queueSeconds = null, iterations = null, successRate = null } = statistics ?? {};
  return (
    <ul className="tiles" aria-label="Statistics">
      <Tile
        title="Active"
        value={count(activeRuns ?? 0)}
        note={limits.maxConcurrentRuns ? `of ${limits.maxConcurrentRuns}` : ''}
      />
      <Tile
        title="Queued"
        value={count(queuedRuns ?? 0)}
        to={namespacePath('/queue', namespace, { definition: nameOf(id) })}
      />
      <Tile title="Success" value={percent(successRate)} />
      <Tile
        title="Duration, p50"
        value={durations ? seconds(durations.median) : '–'}
        note={durations ? `p95 ${seconds(durations.p95)}` : ''}
      />
      <Tile
        title="In the queue, p50"
        value={queueSeconds ? seconds(queueSeconds.median) : '–'}
        note={queueSeconds ? `p95 ${seconds(queueSeconds.p95)}` : ''}
      />
      <Tile
        title="Iterations, p50"
        value={iterations ? String(iterations.median) : '–'}
        note={iterations ? `p95 ${iterations.p95}` : ''}
      />
    </ul>
  );
}

interface Props {
  definition: DefinitionDetail;
}

function LastRuns({ definition }: Props) {
  const runs = definition.lastTasks ?? [];
  const counts = definition.statistics?.byStatus ?? [];
  return (
    <section className="panel value">
      <div className="panel-title">
        <h2>Last runs</h2>
        {counts.length ? <PhaseCounts counts={counts} /> : null}
      </div>
      {runs.length === 0 ? <p className="help">It has no runs yet.</p> : null}
      <RunRows runs={runs} />
    </section>
  );
}

function Limits({ definition: { limits, triggers, hooks, reporting, namespace } }: Props) {
  const seconds = (value: number) => duration(value * 1000).replace('.0 s', ' s');
  const { retry } = limits;
  return (
    <section className="panel value">
      <h2>Limits</h2>
      <Facts
        facts={{
          Iterations: String(limits.maxIterations),
          'Runs at a time': limits.maxConcurrentRuns ? String(limits.maxConcurrentRuns) : 'no limit',
          'Runs at a time with the same': limits.concurrency
            ? `${limits.concurrency.key}: ${limits.concurrency.limit}`
            : null,
          'Time of an iteration': seconds(limits.iterationTimeoutSeconds),
          'Start of a pod': seconds(limits.pendingTimeoutSeconds),
          'Clean-up after an abort': seconds(limits.abortGracePeriodSeconds),
          Heartbeat: limits.heartbeatTimeoutSeconds ? seconds(limits.heartbeatTimeoutSeconds) : null,
          Retries: retry.limit
            ? `${retry.limit}, after ${seconds(retry.initialSeconds)}, × ${retry.factor}, at most ${seconds(retry.maxSeconds)}; on ${retry.on.join(', ')}`
            : 'none',
          Disruptions: String(limits.disruptionRetries),
          'Children at a time': String(limits.maxChildren),
          'Kept after the end':
            limits.ttlSecondsAfterFinished === null ? 'as the namespace says' : seconds(limits.ttlSecondsAfterFinished),
          'Answers by': reporting,
          Hooks: hooks.join(', '),
          'May start': triggers.length ? (
            <span>
              {triggers.map((one, place) => (
                <span key={one}>
                  {place ? ', ' : ''}
                  {one === '*' ? 'all' : <Link to={definitionPath(namespace, one)}>{plain(one, 100)}</Link>}
                </span>
              ))}
            </span>
          ) : null,
        }}
      />
    </section>
  );
}
