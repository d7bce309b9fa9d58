/** Times and durations as text. All are pure: the time of now is passed in. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Returns a duration with its two largest units: 950 ms, 4.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < SECOND) return `${Math.round(value)} ms`;
  if (value < 10 * SECOND) return `${(Math.floor(value / 100) / 10).toFixed(1)} s`;
  if (value < MINUTE) return `${Math.floor(value / SECOND)} s`;
  if (value < HOUR) return pair(value, MINUTE, 'min', SECOND, 's');
  if (value < DAY) return pair(value, HOUR, 'h', MINUTE, 'min');
  return pair(value, DAY, 'd', HOUR, 'h');
}

function pair(value: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const whole = Math.floor(value / large);
  const rest = Math.floor((value % large) / small);
  return rest ? `${whole} ${largeUnit} ${rest} ${smallUnit}` : `${whole} ${largeUnit}`;
}

/** Returns how long ago a time was, or how soon it is: just now, 5 s ago, in 3 min, 2 d ago. */
export function relative(then: number, now: number): string {
  const distance = now - then;
  const size = Math.abs(distance);
  if (size < 2 * SECOND) return distance >= 0 ? 'just now' : 'in 1 s';
  const text =
    size < MINUTE
      ? `${Math.floor(size / SECOND)} s`
      : size < HOUR
        ? `${Math.floor(size / MINUTE)} min`
        : size < 2 * DAY
          ? `${Math.floor(size / HOUR)} h`
          : `${Math.floor(size / DAY)} d`;
  return distance >= 0 ? `${text} ago` : `in ${text}`;
}

const two = (value: number) => String(value).padStart(2, '0');

/** Returns a time in the zone of the browser, or in UTC, as 2026-11-29 23:05:12. */
export function absolute(ms: number, zone: 'local' | 'utc'): string {
  const date = new Date(ms);
  if (zone === 'utc') return date.toISOString().slice(0, 19).replace('T', ' ');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

/**
 * Returns a time in a zone of the IANA database, with its weekday and offset: Mon 2026-11-30 02:30 UTC+1.
 *
 * In UTC if the browser does not know the zone.
 */
export function inZone(ms: number, zone: string): string {
  const found: Record<string, string> = {};
  for (const { type, value } of formatOf(zone).formatToParts(ms)) found[type] = value;
  const { weekday, year, month, day, hour, minute, second, timeZoneName } = found;
  const seconds = second === '00' ? '' : `:${second}`;
  const offset = `UTC${timeZoneName?.replace(/^GMT([+-]0)?$|^GMT/, '') ?? ''}`;
  return `${weekday} ${year}-${month}-${day} ${hour}:${minute}${seconds} ${offset}`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const options = {
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'shortOffset',
  } as const;
  let made: Intl.DateTimeFormat;
  try {
    made = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: zone });
  } catch {
    made = new Intl.DateTimeFormat('en-GB', { ...options, timeZone: 'UTC' });
  }
  formats.set(zone, made);
  return made;
}

/** Returns the time of the day in the zone of the browser, as 23:05:12. */
export function clock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Returns the time of an ISO text in milliseconds, or undefined where there is none. */
export function parsed(text: string | null | undefined): number | undefined {
  if (!text) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Returns a count with thin spaces between thousands: 12 345. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009');
}
