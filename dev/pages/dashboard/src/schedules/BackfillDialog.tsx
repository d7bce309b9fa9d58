import { useMemo, useState } from 'react';
import { send } from '../api/http';
import { dataOf, RequestError } from '../api/problems';
import { useQuery } from '../api/use-query';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { Field, InputField } from '../components/Field';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { nameOf } from '../routing/paths';
import { absolute, count, inZone, parsed } from '../time/format';
import { BackfillSchedule, PreviewTimes, type ScheduleDetail } from './documents';
import { inRange, minutes } from './range';

const MOST_TIMES = 1000;
const DAY_MS = 86_400_000;

type Overlap = 'ONE_BY_ONE' | 'ALLOW';

interface Props {
  schedule: ScheduleDetail;
  onClose: () => void;
  onChanged: () => void;
}

/** Asks for a range of past times, and says which runs would start before they do. */
export function BackfillDialog({ schedule, onClose, onChanged }: Props) {
  const [now] = useState(() => Date.now());
  const [from, setFrom] = useState(() => entered(now - DAY_MS));
  const [until, setUntil] = useState(() => entered(now));
  const [overlap, setOverlap] = useState<Overlap>('ONE_BY_ONE');
  const [rate, setRate] = useState('60');
  const begin = parsed(from);
  const end = parsed(until);
  const id = nameOf(schedule.id);

  return (
    <ConfirmDialog
      title="Backfill past times"
      action="Start the backfill"
      onClose={onClose}
      onConfirm={async () => {
        if (begin === undefined || end === undefined) throw refused('Enter both times.');
        const variables = {
          id,
          start: new Date(begin).toISOString(),
          until: new Date(end).toISOString(),
          overlap,
          startsPerMinute: Number(rate),
        };
        dataOf((await send(BackfillSchedule, variables, schedule.namespace)).backgroundTasks?.backfillSchedule);
        say(<>A backfill of {id} has begun.</>);
        onChanged();
      }}
    >
      <p>Starts the runs of times that have passed. A time that has a run already is left out.</p>
      <div className="field-pair">
        <InputField title="From" type="datetime-local" required value={from} onChange={setFrom} />
        <InputField title="Until before" type="datetime-local" required value={until} onChange={setUntil} />
      </div>
      <p className="help">
        In the time zone of this browser; the times of the schedule are in {plain(schedule.timeZone, 60)}.
      </p>
      <div className="field-pair">
        <Field title="Overlap">
          {(control) => (
            <select
              {...control}
              value={overlap}
              onChange={(event) => setOverlap(event.target.value === 'ALLOW' ? 'ALLOW' : 'ONE_BY_ONE')}
            >
              <option value="ONE_BY_ONE">One by one</option>
              <option value="ALLOW">Not waiting for each other</option>
            </select>
          )}
        </Field>
        <InputField
          title="At most a minute"
          type="number"
          min={1}
          max={600}
          step={1}
          required
          value={rate}
          onChange={setRate}
        />
      </div>
      <Preview schedule={schedule} begin={begin} end={end} now={now} rate={Number(rate)} />
    </ConfirmDialog>
  );
}

interface PreviewProps {
  schedule: ScheduleDetail;
  begin: number | undefined;
  end: number | undefined;
  now: number;
  rate: number;
}

/** How many runs would start, and for which times. */
function Preview({ schedule, begin, end, now, rate }: PreviewProps) {
  const isRange = begin !== undefined && end !== undefined && begin < end;
  const start = begin === undefined ? '' : new Date(begin).toISOString();
  const variables = isRange ? { id: nameOf(schedule.id), start, count: MOST_TIMES } : null;
  const query = useQuery(PreviewTimes, variables, schedule.namespace);
  const answer = query.data?.backgroundTasks?.previewSchedule;
  const computed = answer?.data;
  const range = useMemo(
    () => (computed && end !== undefined ? inRange(computed, MOST_TIMES, end, now) : undefined),
    [computed, end, now],
  );
  return (
    <p className="backfill-preview" role="status">
      {words()}
    </p>
  );

  function words(): string {
    if (!isRange) return 'The end must be later than the begin.';
    if (answer?.error) return answer.error.message ?? '';
    if (!range) return '';
    const { times, isMore } = range;
    const [first] = times;
    const last = times.at(-1);
    if (first === undefined || last === undefined) return 'No time of the schedule is in this range.';
    const zone = schedule.timeZone;
    if (isMore) return `More than ${count(MOST_TIMES)} runs, the first for ${inZone(Date.parse(first), zone)}.`;
    if (times.length === 1) return `1 run, for ${inZone(Date.parse(first), zone)}.`;
    const takes = rate >= 1 ? `, in at least ${count(minutes(times.length, rate))} min` : '';
    return `${count(times.length)} runs, from ${inZone(Date.parse(first), zone)} to ${inZone(Date.parse(last), zone)}${takes}.`;
  }
}

/** Returns a time as a field for times has it, to the minute, in the zone of the browser. */
function entered(ms: number): string {
  return absolute(ms, 'local').slice(0, 16).replace(' ', 'T');
}

function refused(message: string): RequestError {
  return new RequestError({ kind: 'refused', message, code: 'form' });
}
