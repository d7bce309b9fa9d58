import { plain } from '../components/text';
import type { ListedSchedule } from './documents';

const MOST_IN_LISTS = 3;

interface Props {
  schedule: Pick<ListedSchedule, 'rules' | 'timeZone'>;
  most?: number;
}

/** The rules of a schedule: cron expressions and intervals, with the zone that they are in. */
export function Rules({ schedule: { rules, timeZone }, most = MOST_IN_LISTS }: Props) {
  const shown = rules.slice(0, most);
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
