import type { Run } from '../runs/documents';
import { plain } from './text';

interface Props {
  progress: NonNullable<Run['progress']>;
  isDone: boolean;
  /** Also show the message of the task next to the bar. */
  withText?: boolean;
}

/** The progress that a task reports: a bar with the number, or its own words. */
export function Progress({ progress, isDone, withText = false }: Props) {
  const { percent, message } = progress;
  if (percent === null) return <span title={plain(message ?? '')}>{plain(message ?? '', 80)}</span>;
  const value = Math.min(100, Math.max(0, percent));
  return (
    <span className="progress" title={plain(message ?? '')}>
      <span className={isDone ? 'progress-bar progress-done' : 'progress-bar'} aria-hidden="true">
        <span style={{ width: `${value}%` }} />
      </span>
      <span className="number">{Math.floor(value)} %</span>
      {withText && message ? <span className="second">{plain(message, 80)}</span> : null}
    </span>
  );
}
