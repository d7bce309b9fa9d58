import type { Phase } from '../runs/documents';
import { count } from '../time/format';
import { lookOf } from './Status';

const PHASE_OF: Record<string, Phase> = {
  pending: 'Pending',
  running: 'Running',
  success: 'Succeeded',
  failed: 'Failed',
  aborted: 'Aborted',
};

/** Returns the phase that a status of Webiny means. */
export function phaseOf(status: string): Phase {
  return PHASE_OF[status] ?? 'Pending';
}

/** How many runs are in which phase. */
export function PhaseCounts({ counts }: { counts: readonly { status: string; count: number }[] }) {
  return (
    <span className="counts">
      {counts.map(({ status, count: number }) => {
        const { word, tone, Sign } = lookOf({ phase: phaseOf(status), reason: null, suspended: false });
        return (
          <span key={status} className={`status tone-${tone}`} title={`${number} ${word.toLowerCase()}`}>
            <Sign size={14} />
            <span className="number">{count(number)}</span>
            <span className="hidden">{word.toLowerCase()}</span>
          </span>
        );
      })}
    </span>
  );
}
