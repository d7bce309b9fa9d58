import { useQuery } from '../api/use-query';
import { WarnSign } from '../components/icons';
import { Empty, Notice, ProblemNotice } from '../components/Notice';
import { ScrollTable } from '../components/ScrollTable';
import { plain } from '../components/text';
import { nameOf } from '../routing/paths';
import { Time } from '../time/Time';
import { GetEvents, type RunDetail } from './documents';

/** The Kubernetes Events of a run and of its pods. */
export function EventsTab({ run }: { run: RunDetail }) {
  const query = useQuery(GetEvents, { id: nameOf(run.id) }, run.namespace, run.version);
  const events = query.data?.backgroundTasks?.getTask?.data?.events;
  if (query.problem && !events)
    return <ProblemNotice problem={query.problem} what="its Events" onRetry={query.refetch} />;
  if (!query.data) return null;
  if (!events) return <Notice tone="info" title="You may not see its Events" />;
  if (events.length === 0) return <Empty title="No Events">Kubernetes keeps Events for an hour.</Empty>;
  return (
    <ScrollTable
      label="Events"
      isPanel
      head={
        <>
          <th>Last</th>
          <th>Type</th>
          <th>Reason</th>
          <th>Object</th>
          <th>Message</th>
          <th>Source</th>
        </>
      }
    >
      {events.map((event) => (
        <tr key={event.id}>
          <td>
            <Time at={event.lastOn} />
            {event.count > 1 ? <span className="second"> {event.count}×</span> : null}
          </td>
          <td>
            {event.type === 'Warning' ? (
              <span className="status tone-warn">
                <WarnSign size={14} />
                Warning
              </span>
            ) : (
              event.type
            )}
          </td>
          <td>{plain(event.reason ?? '', 60)}</td>
          <td>
            {event.kind} <span className="mono">{plain(event.name, 80)}</span>
          </td>
          <td className="wide">
            <bdi>{plain(event.message ?? '', 500)}</bdi>
          </td>
          <td className="second">{plain(event.source ?? '', 60)}</td>
        </tr>
      ))}
    </ScrollTable>
  );
}
