import { useState } from 'react';
import { SignalDialog } from '../inbox/SignalDialog';
import { type Asked, WaitSignals } from '../inbox/WaitSignals';
import { parsed } from '../time/format';
import { useNow } from '../time/now';
import type { RunDetail } from './documents';
import { isFinished } from './use-run';

/** What a run waits for, and how to answer. A form that is open stays when the wait has ended, and says so. */
export function WaitPanel({ run, isDeleted, onSent }: { run: RunDetail; isDeleted: boolean; onSent: () => void }) {
  const [asked, setAsked] = useState<Asked>();
  const until = parsed(run.waitingFor?.until);
  const isLate = useNow() >= (until ?? Number.POSITIVE_INFINITY);
  const isWaiting = run.waitingFor !== null && !isFinished(run);
  const over = isDeleted ? 'This run was deleted.' : isLate ? 'The time of this wait is over.' : undefined;
  return (
    <>
      {isWaiting ? (
        <section className="panel wait" aria-label="Answer">
          <WaitSignals wait={run} over={over} onAsk={setAsked} />
        </section>
      ) : null}
      {asked ? (
        <SignalDialog
          asked={asked}
          current={isWaiting && !isDeleted ? run : undefined}
          onClose={() => setAsked(undefined)}
          onSent={onSent}
        />
      ) : null}
    </>
  );
}
