import { plain } from '../components/text';
import type { ListedSchedule } from './documents';

const MOST = 3;

/** The rules of a schedule: cron expressions and intervals, with the zone that they are in. */
export function Rules({ schedule: { rules, timeZone } }: { schedule: Pick<ListedSchedule, 'rules' | 'timeZone'> }) {
  const shown = rules.slice(0, MOST);
  return (
    <span className="rules">
      {shown.map((rule) => (
        <code key={rule}>{plain(rule, 100)}</code>
      ))}
      {rules.length > shown.length ? <span className="second">and {rules.length - shown.length} more</span> : null}
      <span className="second">{plain(timeZone, 60)}</span>
    </span>
  );
}
