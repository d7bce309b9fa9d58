import { useQuery } from '../api/use-query';
import { plain } from '../components/text';
import { Link } from '../routing/location';
import { nameOf, schedulePath } from '../routing/paths';
import { Time } from '../time/Time';
import { ListSchedules } from './documents';
import { Rules } from './Rules';
import { ScheduleStatus } from './ScheduleStatus';
import { useScheduleChanges } from './use-schedules';

/** The schedules that start runs of a definition; nothing without them, or without the right to see them. */
export function SchedulesOf({ namespace, definition }: { namespace: string; definition: string }) {
  const version = useScheduleChanges(namespace);
  const query = useQuery(ListSchedules, { definition }, namespace, version);
  const schedules = query.data?.backgroundTasks?.listSchedules?.data ?? [];
  if (schedules.length === 0) return null;
  return (
    <section className="panel value">
      <h2>Schedules</h2>
      <ul className="rows">
        {schedules.map((schedule) => (
          <li key={schedule.id}>
            <ScheduleStatus schedule={schedule} />
            <Link to={schedulePath(schedule.namespace, nameOf(schedule.id))} className="row-link">
              <bdi>{plain(nameOf(schedule.id), 63)}</bdi>
            </Link>
            <span className="rows-message">
              <Rules schedule={schedule} />
            </span>
            <span className="rows-end" title="Next">
              <Time at={schedule.suspended ? null : schedule.nextTimes[0]} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
