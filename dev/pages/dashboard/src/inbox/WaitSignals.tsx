import { Button } from '../components/Button';
import { FailedSign, SucceededSign } from '../components/icons';
import { plain } from '../components/text';
import { shortUser } from '../runs/RunTable';
import { Time } from '../time/Time';
import type { Approval, Awaited, Wait } from './documents';
import { commentKey, decisionsOf, progressOf, whoMayDecide } from './waits';

export type Decision = 'APPROVE' | 'REJECT';

/** What a user has begun to answer. */
export interface Asked {
  wait: Wait;
  awaited: Awaited;
  decision: Decision | null;
}

interface Props {
  wait: Wait;
  /** What those who have decided have said, by `commentKey`. */
  comments?: ReadonlyMap<string, string>;
  /** Why it can no longer be answered. */
  over?: string | undefined;
  onAsk: (asked: Asked) => void;
}

/** What a run waits for: each signal with who may send it, what has come so far, and how to answer. */
export function WaitSignals({ wait, comments, over, onAsk }: Props) {
  const { awaited, count = 1 } = wait.waitingFor ?? {};
  return (
    <ul className="wait-signals">
      {(awaited ?? []).map((one) => (
        <li key={one.name}>
          <div className="wait-what">
            <p>
              {one.type?.approval ? null : <span className="second">signal </span>}
              <code>{one.name}</code> <span className="second number">{progressOf(wait, one)}</span>
            </p>
            {one.type?.description ? <p className="wait-text">{plain(one.type.description, 500)}</p> : null}
            {count > 1 && !one.type?.approval && wait.message ? (
              <p className="help">{plain(wait.message, 300)}</p>
            ) : null}
            {whoMayDecide(one) && !one.refusal ? <p className="help">{whoMayDecide(one)}</p> : null}
            <Decisions decisions={decisionsOf(wait, one.name)} comments={comments} />
            {one.refusal && !over ? <p className="help wait-refusal">{one.refusal}</p> : null}
          </div>
          <div className="wait-actions">
            <Answers wait={wait} awaited={one} because={over ?? one.refusal ?? undefined} onAsk={onAsk} />
          </div>
        </li>
      ))}
    </ul>
  );
}

interface AnswersProps {
  wait: Wait;
  awaited: Awaited;
  because: string | undefined;
  onAsk: (asked: Asked) => void;
}

function Answers({ wait, awaited, because, onAsk }: AnswersProps) {
  const name = plain(wait.name ?? wait.id, 100);
  if (!awaited.type?.approval) {
    return (
      <Button
        aria-label={`Send ${awaited.name} to ${name}`}
        disabledBecause={because}
        onClick={() => onAsk({ wait, awaited, decision: null })}
      >
        Send …
      </Button>
    );
  }
  return (
    <>
      <Button
        look="main"
        aria-label={`Approve ${awaited.name} of ${name}`}
        disabledBecause={because}
        onClick={() => onAsk({ wait, awaited, decision: 'APPROVE' })}
      >
        Approve
      </Button>
      <Button
        look="danger"
        aria-label={`Reject ${awaited.name} of ${name}`}
        disabledBecause={because}
        onClick={() => onAsk({ wait, awaited, decision: 'REJECT' })}
      >
        Reject
      </Button>
    </>
  );
}

interface DecisionsProps {
  decisions: readonly Approval[];
  comments?: ReadonlyMap<string, string> | undefined;
  /** For decisions of several waits. */
  hasNames?: boolean;
}

/** Who has decided, how and when, and why. */
export function Decisions({ decisions, comments, hasNames = false }: DecisionsProps) {
  if (decisions.length === 0) return null;
  return (
    <ul className="wait-decisions" aria-label="Decisions">
      {decisions.map((one) => (
        <li key={`${one.signal} ${one.by} ${one.at}`}>
          {one.decision === 'Approve' ? (
            <span className="status tone-good">
              <SucceededSign size={14} />
              Approved
            </span>
          ) : (
            <span className="status tone-bad">
              <FailedSign size={14} />
              Rejected
            </span>
          )}
          {hasNames ? <code>{one.signal}</code> : null}
          <bdi>{plain(shortUser(one.by), 100)}</bdi>
          <span className="second">
            <Time at={one.at} />
          </span>
          {comments?.has(commentKey(one.signal, one.by)) ? (
            <span className="wait-comment">{plain(comments.get(commentKey(one.signal, one.by)) ?? '', 500)}</span>
          ) : null}
        </li>
      ))}
    </ul>
  );
}
