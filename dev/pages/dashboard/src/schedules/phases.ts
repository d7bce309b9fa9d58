import type { Phase } from '../runs/documents';
import { PHASES } from '../runs/filters';

/** Returns the phase of the last run of a schedule, which is known once it has finished; until then it runs. */
export function phaseOrRunning(phase: string | null): Phase {
  return PHASES.find((one) => one === phase) ?? 'Running';
}
