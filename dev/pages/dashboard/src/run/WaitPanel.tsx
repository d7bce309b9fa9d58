import { useMemo, useState } from 'react';
import { useQuery } from '../api/use-query';
import { GetSignals } from '../inbox/documents';
import { SignalDialog } from '../inbox/SignalDialog';
import { type Asked, Decisions, WaitSignals } from '../inbox/WaitSignals';
import { commentsOf } from '../inbox/waits';
import { nameOf } from '../routing/paths';
import { parsed } from '../time/format';
import { useNow } from '../time/now';
import type { RunDetail } from './documents';
import { isFinished } from './use-run';

/**
 * What a run waits for, and how to answer; later who has decided.
 *
 * A form that is open stays when the wait has ended, and says so.
 */
export function WaitPanel({ run, isDeleted, onSent }: { run: RunDetail; isDeleted: boolean; onSent: () => void }) {
  const [asked, setAsked] = useState<Asked>();
  const isWaiting = run.waitingFor !== null && !isFinished(run);
  const comments = useComments(run);
  return (
    <>
      {isWaiting ? (
        <section className="panel wait" aria-label="Answer">
          <Waiting run={run} isDeleted={isDeleted} comments={comments} onAsk={setAsked} />
        </section>
      ) : run.approvals.length ? (
        <section className="panel value">
          <h2>Decisions</h2>
          <Decisions decisions={run.approvals} comments={comments} hasNames />
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

interface WaitingProps {
  run: RunDetail;
  isDeleted: boolean;
  comments: ReadonlyMap<string, string>;
  onAsk: (asked: Asked) => void;
}

/** Drawn every second, because its time may be over. */
function Waiting({ run, isDeleted, comments, onAsk }: WaitingProps) {
  const isLate = useNow() >= (parsed(run.waitingFor?.until) ?? Number.POSITIVE_INFINITY);
  const over = isDeleted ? 'This run was deleted.' : isLate ? 'The time of this wait is over.' : undefined;
  return <WaitSignals wait={run} comments={comments} over={over} onAsk={onAsk} />;
}

/** Reads the comments of those who have decided, if any have and the user may see them. */
function useComments(run: RunDetail): ReadonlyMap<string, string> {
  const number = run.approvals.length;
  const query = useQuery(GetSignals, number ? { id: nameOf(run.id) } : null, run.namespace, number);
  const sent = query.data?.backgroundTasks?.getTask?.data?.signals;
  return useMemo(() => commentsOf(sent ?? []), [sent]);
}
