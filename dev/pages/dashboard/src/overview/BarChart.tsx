import { phaseOf } from '../components/PhaseCounts';
import { Link } from '../routing/location';
import { namespacePath } from '../routing/paths';
import { absolute, count, parsed } from '../time/format';
import type { Overview } from './documents';

const ORDER = ['success', 'aborted', 'failed'] as const;
const LABELS = 6;

/** How many runs have finished in each interval, by status. */
export function BarChart({ overview, namespace }: { overview: Overview; namespace: string }) {
  const { intervals, intervalSeconds } = overview;
  const most = Math.max(1, ...intervals.map((one) => sum(one.finished)));
  const every = Math.max(1, Math.ceil(intervals.length / LABELS));
  const isDays = intervalSeconds >= 4 * 3600;
  return (
    <figure className="chart">
      <div className="chart-scale number" aria-hidden="true">
        <span>{count(most)}</span>
        <span>0</span>
      </div>
      <ol className="chart-bars">
        {intervals.map((one, place) => {
          const start = parsed(one.start) ?? 0;
          const to = new Date(start + intervalSeconds * 1000).toISOString();
          const text = absolute(start, 'local').slice(0, 16);
          const numbers = ORDER.map((status) => ({ status, number: numberOf(one.finished, status) }));
          const words = numbers
            .filter(({ number }) => number)
            .map(({ status, number }) => `${number} ${phaseOf(status).toLowerCase()}`)
            .join(', ');
          const title = `${text}: ${words || 'none finished'}, ${one.created} created`;
          return (
            <li key={one.start}>
              {sum(one.finished) + one.created ? (
                <Link
                  to={namespacePath('/runs', namespace, { from: one.start, to })}
                  title={title}
                  aria-label={title}
                  className="chart-bar"
                >
                  {numbers.map(({ status, number }) =>
                    number ? (
                      <i key={status} className={`chart-${status}`} style={{ height: `${(100 * number) / most}%` }} />
                    ) : null,
                  )}
                </Link>
              ) : null}
              {place % every === 0 ? (
                <span className="chart-label number" aria-hidden="true">
                  {isDays ? text.slice(5, 10) : text.slice(11)}
                </span>
              ) : null}
            </li>
          );
        })}
      </ol>
      <figcaption className="legend">
        {ORDER.map((status) => (
          <span key={status} className="legend-item">
            <i className={`chart-key chart-${status}`} />
            {phaseOf(status)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

type Counts = Overview['finished'];

function sum(counts: Counts): number {
  return counts.reduce((total, one) => total + one.count, 0);
}

function numberOf(counts: Counts, status: string): number {
  return counts.find((one) => one.status === status)?.count ?? 0;
}
