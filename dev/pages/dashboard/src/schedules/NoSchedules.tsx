import { useQuery } from '../api/use-query';
import { Copy } from '../components/Copy';
import { Empty } from '../components/Notice';
import { ALL_NAMESPACES } from '../routing/paths';
import { NameOfDefinition } from './documents';

/** Says how to create the first schedule, with a definition of this namespace. */
export function NoSchedules({ namespace }: { namespace: string }) {
  const query = useQuery(NameOfDefinition, {}, namespace);
  const definition = query.data?.backgroundTasks?.listDefinitions?.data?.[0]?.name ?? 'my-task';
  const place = namespace === ALL_NAMESPACES ? '' : `\n  namespace: ${namespace}`;
  const manifest = `apiVersion: podrelay.dev/v1alpha1
kind: TaskSchedule
metadata:
  name: nightly${place}
spec:
  schedules:
    - cron: "30 2 * * *"
  timeZone: Europe/Vienna
  run:
    definition: ${definition}
`;
  return (
    <Empty title="No schedules">
      <p>
        A schedule starts runs of a definition at given times. Save this as schedule.yaml, change what differs, then:
      </p>
      <div className="example">
        <p className="example-command">
          <code>kubectl apply -f schedule.yaml</code>
          <Copy text={() => 'kubectl apply -f schedule.yaml'} what="the command" />
        </p>
        <div className="example-manifest">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard. */}
          <pre tabIndex={0}>{manifest}</pre>
          <Copy text={() => manifest} what="the manifest" />
        </div>
      </div>
    </Empty>
  );
}
