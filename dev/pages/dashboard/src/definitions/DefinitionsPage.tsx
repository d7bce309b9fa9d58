import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { SuspendedSign, WarnSign } from '../components/icons';
import { ListPage } from '../components/ListPage';
import { Empty } from '../components/Notice';
import { PhaseCounts } from '../components/PhaseCounts';
import { ScrollTable } from '../components/ScrollTable';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { ALL_NAMESPACES, definitionPath, nameOf, namespacePath, triggerPath } from '../routing/paths';
import { useChanges } from '../runs/use-changes';
import { useRights } from '../shell/rights';
import { count, duration } from '../time/format';
import { ListDefinitions, type ListedDefinition } from './documents';
import { percent } from './percent';

/** The kinds of runs that can be started. */
export function DefinitionsPage({ namespace }: { namespace: string }) {
  const version = useChanges(namespace);
  const query = useQuery(ListDefinitions, {}, namespace, version);
  const answer = query.data?.backgroundTasks?.listDefinitions;
  const definitions = answer?.data;
  const { missing } = useRights();
  return (
    <ListPage title="Definitions" problem={problemIn(query, answer)} what="the definitions" onRetry={query.refetch}>
      {definitions?.length === 0 ? (
        <Empty title="No definitions">
          Apply a TaskDefinition to this namespace:{' '}
          <code>podrelay manifests tasks.py --image … | kubectl apply -f -</code>
        </Empty>
      ) : null}
      {definitions?.length ? (
        <ScrollTable
          label="Definitions"
          isPanel
          head={
            <>
              <th>Title</th>
              <th className="if-wide">Active</th>
              <th className="if-wide">Queued</th>
              <th className="if-wide">Runs</th>
              <th className="if-wide">Success</th>
              <th className="if-wide">Duration, p50 and p95</th>
              {namespace === ALL_NAMESPACES ? <th>Namespace</th> : null}
              <th className="if-wide">
                <span className="hidden">Actions</span>
              </th>
            </>
          }
        >
          {definitions.map((definition) => (
            <Row
              key={`${definition.namespace}/${definition.id}`}
              definition={definition}
              hasNamespace={namespace === ALL_NAMESPACES}
              mayTrigger={missing('trigger') === undefined}
            />
          ))}
        </ScrollTable>
      ) : null}
    </ListPage>
  );
}

interface RowProps {
  definition: ListedDefinition;
  hasNamespace: boolean;
  mayTrigger: boolean;
}

function Row({ definition, hasNamespace, mayTrigger }: RowProps) {
  const { namespace, readiness, statistics } = definition;
  const id = nameOf(definition.id);
  const durations = statistics?.durations;
  const runs = (
    <Link to={namespacePath('/runs', namespace, { definition: id })} className="counts-link">
      {statistics?.byStatus.length ? <PhaseCounts counts={statistics.byStatus} /> : 'no runs yet'}
    </Link>
  );
  const start = mayTrigger ? <Link to={triggerPath(namespace, id)}>Start a run</Link> : null;
  return (
    <tr>
      <td className="wide">
        <Link to={definitionPath(namespace, id)} className="row-link">
          <bdi>{plain(definition.title, 120)}</bdi>
        </Link>
        <span className="row-name mono">{plain(id, 100)}</span>
        {definition.suspended ? (
          <span className="status tone-warn definition-mark">
            <SuspendedSign size={14} />
            Suspended
          </span>
        ) : null}
        {readiness && !readiness.isReady ? (
          <span className="status tone-warn definition-mark" title={plain(readiness.message)}>
            <WarnSign size={14} />
            {readiness.reason}
          </span>
        ) : null}
        {definition.description ? <p className="second">{plain(definition.description, 200)}</p> : null}
        <div className="if-narrow">
          <div className="definition-runs">
            {runs}
            {start}
          </div>
        </div>
      </td>
      <td className="number if-wide">
        {count(definition.activeRuns ?? 0)}
        {definition.maxConcurrentRuns ? <span className="second"> of {definition.maxConcurrentRuns}</span> : null}
      </td>
      <td className="number if-wide">
        {definition.queuedRuns ? (
          <Link to={namespacePath('/queue', namespace, { definition: id })}>{count(definition.queuedRuns)}</Link>
        ) : (
          '0'
        )}
      </td>
      <td className="if-wide">{runs}</td>
      <td className="number if-wide">{percent(statistics?.successRate)}</td>
      <td className="number if-wide">
        {durations ? `${duration(durations.median * 1000)}, ${duration(durations.p95 * 1000)}` : '–'}
      </td>
      {hasNamespace ? <td>{namespace}</td> : null}
      <td className="if-wide">{start}</td>
    </tr>
  );
}
