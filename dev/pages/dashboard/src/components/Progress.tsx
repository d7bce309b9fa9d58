import type { Run } from '../runs/documents';
import { plain } from './text';

/** The progress that a task reports: a bar with the number, or its own words. */
export function Progress({ progress, isDone }: { progress: NonNullable<Run['progress']>; isDone: boolean }) {
  const { percent, message } = progress;
  if (percent === null) return <span title={plain(message ?? '')}>{plain(message ?? '', 80)}</span>;
  const value = Math.min(100, Math.max(0, percent));
  return (
    <span className="progress" title={plain(message ?? '')}>
      <span className={isDone ? 'progress-bar progress-done' : 'progress-bar'} aria-hidden="true">
        <span style={{ width: `${value}%` }} />
      </span>
      <span className="number">{Math.floor(value)} %</span>
    </span>
  );
}
