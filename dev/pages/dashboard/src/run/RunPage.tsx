import { useQuery } from '../api/use-query';
import { Copy } from '../components/Copy';
import { DetailPage, UnreadPage } from '../components/DetailPage';
import { Facts } from '../components/Facts';
import { Notice, ProblemNotice } from '../components/Notice';
import { Progress } from '../components/Progress';
import { Status } from '../components/Status';
import { Tabs } from '../components/Tabs';
import { plain } from '../components/text';
import { LogsTab } from '../logs/LogsTab';
import { Link, useAddress } from '../routing/location';
import { definitionPath, nameOf, namespacePath, runPath, schedulePath } from '../routing/paths';
import { shortUser } from '../runs/RunTable';
import { Elapsed, Time } from '../time/Time';
import { ChildrenTab } from './ChildrenTab';
import { DataTab } from './DataTab';
import { GetHistory, type RunDetail } from './documents';
import { EventsTab } from './EventsTab';
import { FailureCard } from './FailureCard';
import { ManifestTab } from './ManifestTab';
import { RunActions } from './RunActions';
import { TimelineTab } from './TimelineTab';
import { useRun } from './use-run';
import { useThrottled } from './use-throttled';
import { WaitPanel } from './WaitPanel';
import { Why } from './Why';

const HISTORY = 100;

/** One run: what happens, why, and what can be done. */
export function RunPage({ namespace, name }: { namespace: string; name: string }) {
  const { run, isDeleted, isMissing, problem, refetch } = useRun(namespace, name);
  const { search } = useAddress();
  const tab = search.get('tab') ?? 'timeline';
  // Each change of the run may be a change of its attempts.
  const version = useThrottled(run?.version, 700);
  const history = useQuery(GetHistory, run && !isDeleted ? { id: name, limit: HISTORY } : null, namespace, version);
  const answered = history.data?.backgroundTasks?.getTask?.data;
  const attempts = answered?.history ?? undefined;

  if (isMissing || !run) {
    const text = (
      <>
        It was deleted, or never existed in the namespace {plain(namespace, 100)}.{' '}
        <Link to={namespacePath('/runs', namespace)}>All runs</Link>
      </>
    );
    const missing = isMissing ? { title: 'There is no such run', text } : undefined;
    const shown = isMissing ? undefined : problem;
    return <UnreadPage name={name} problem={shown} what="this run" onRetry={refetch} missing={missing} />;
  }
  const children = (run.childCounts ?? []).reduce((sum, { count }) => sum + count, 0);
  return (
    <DetailPage
      crumbs={<Crumbs run={run} />}
      title={run.name ?? nameOf(run.id)}
      tabTitle={`${SIGNS[run.phase]} ${run.name ?? name}`}
      note={isDeleted ? <span className="status tag tone-quiet">Deleted</span> : <Status run={run} isTag />}
      actions={<RunActions run={run} isDeleted={isDeleted} />}
    >
      {isDeleted ? (
        <Notice tone="warn" title="This run was deleted">
          What you see is its last state. Its logs and data are deleted with it.
        </Notice>
      ) : null}
      {problem?.kind === 'forbidden' ? <ProblemNotice problem={problem} what="this run any longer" /> : null}
      <RunFacts run={run} />
      <Why run={run} />
      <WaitPanel run={run} isDeleted={isDeleted} onSent={refetch} />
      {run.phase === 'Failed' ? <FailureCard run={run} history={attempts} /> : null}
      <Tabs
        current={tab}
        tabs={[
          { id: 'timeline', title: 'Timeline' },
          { id: 'logs', title: 'Logs' },
          { id: 'data', title: 'Data' },
          { id: 'children', title: 'Children', count: children },
          { id: 'events', title: 'Events' },
          { id: 'yaml', title: 'Manifest' },
        ]}
      >
        {tab === 'logs' ? (
          <LogsTab key={run.uid} namespace={namespace} name={name} isDeleted={isDeleted} />
        ) : tab === 'data' ? (
          <DataTab run={run} />
        ) : tab === 'children' ? (
          <ChildrenTab run={run} />
        ) : tab === 'events' ? (
          <EventsTab run={run} />
        ) : tab === 'yaml' ? (
          <ManifestTab run={run} />
        ) : (
          <TimelineTab
            run={run}
            history={attempts}
            childRuns={answered?.children.data ?? []}
            problem={history.problem}
          />
        )}
      </Tabs>
    </DetailPage>
  );
}

const SIGNS: Record<RunDetail['phase'], string> = {
  Pending: '○',
  Running: '◐',
  Succeeded: '✓',
  Failed: '✗',
  Aborted: '■',
};

/** The list, and the runs that it descends from. */
function Crumbs({ run }: { run: RunDetail }) {
  return (
    <>
      <Link to={namespacePath('/runs', run.namespace)}>Runs</Link>
      {(run.ancestors ?? []).map((one) => (
        <Link key={one.id} to={runPath(one.namespace, nameOf(one.id))} title={plain(nameOf(one.id))}>
          <Status run={one} isShort />
          <bdi>{plain(one.name ?? nameOf(one.id), 40)}</bdi>
        </Link>
      ))}
    </>
  );
}

function RunFacts({ run }: { run: RunDetail }) {
  const name = nameOf(run.id);
  return (
    <Facts
      facts={{
        Name: (
          <span className="fact-copy">
            <span className="mono">{name}</span>
            <Copy text={() => name} what="the name" />
          </span>
        ),
        Definition: run.definitionId ? (
          <Link to={definitionPath(run.namespace, run.definitionId)}>
            <bdi>{plain(run.definitionId, 100)}</bdi>
          </Link>
        ) : null,
        Iterations: (
          <span className="number">
            {run.iterations ?? 0}
            {run.maxIterations ? <span className="second"> of at most {run.maxIterations}</span> : null}
          </span>
        ),
        Progress: run.progress ? (
          <Progress progress={run.progress} isDone={run.phase === 'Succeeded'} withText />
        ) : null,
        Created: <Time at={run.createdOn} />,
        Started: run.startedOn ? <Time at={run.startedOn} /> : null,
        Finished: run.finishedOn ? <Time at={run.finishedOn} /> : null,
        Duration: run.startedOn ? <Elapsed from={run.startedOn} to={run.finishedOn} /> : null,
        'Failed attempts': run.attempts > 0 ? <span className="number">{run.attempts}</span> : null,
        Disruptions: run.disruptions > 0 ? <span className="number">{run.disruptions}</span> : null,
        'Created by': <bdi>{plain(shortUser(run.createdBy.displayName), 100)}</bdi>,
        'Aborted by': run.abortedBy ? <bdi>{plain(shortUser(run.abortedBy.displayName), 100)}</bdi> : null,
        Schedule: run.scheduled ? <Origin namespace={run.namespace} scheduled={run.scheduled} /> : null,
        'Rerun of': run.rerunOf ? (
          <Link to={runPath(run.namespace, nameOf(run.rerunOf))}>{plain(nameOf(run.rerunOf))}</Link>
        ) : null,
      }}
    />
  );
}

interface OriginProps {
  namespace: string;
  scheduled: NonNullable<RunDetail['scheduled']>;
}

/** The schedule that has started it, and for which time. */
function Origin({ namespace, scheduled: { scheduleId, scheduledFor, manual, backfill } }: OriginProps) {
  const name = nameOf(scheduleId);
  return (
    <span className="fact-words">
      <Link to={schedulePath(namespace, name)}>{plain(name, 63)}</Link>
      {manual ? (
        <span className="second">started by hand</span>
      ) : (
        <span className="second">
          for <Time at={scheduledFor} />
          {backfill ? `, backfill ${plain(backfill, 63)}` : ''}
        </span>
      )}
    </span>
  );
}
