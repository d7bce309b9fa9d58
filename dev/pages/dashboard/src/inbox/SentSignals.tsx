import { plain } from '../components/text';
import { shortUser } from '../runs/RunTable';
import { Time } from '../time/Time';
import type { SentSignal } from './documents';
import { commentIn } from './waits';

/** What was sent already: by whom, with which comment, and why it was rejected if it was. */
export function SentSignals({ sent }: { sent: readonly SentSignal[] }) {
  if (sent.length === 0) return null;
  return (
    <ul className="wait-sent" aria-label="Sent so far">
      {sent.map((one) => (
        <li key={one.id}>
          <p>
            <bdi>{plain(shortUser(one.sender ?? 'unknown'), 100)}</bdi>{' '}
            {one.decision === 'APPROVE' ? 'approved' : one.decision === 'REJECT' ? 'rejected' : 'sent it'}{' '}
            <span className="second">
              <Time at={one.createdOn} />
            </span>
          </p>
          {contentOf(one) ? <p className="wait-comment">{plain(contentOf(one), 500)}</p> : null}
          {one.phase === 'Rejected' ? (
            <p className="field-problem">Not accepted: {plain(one.message ?? one.reason ?? '', 500)}</p>
          ) : null}
        </li>
      ))}
    </ul>
  );
}

/** Returns the comment of a signal, or its payload as text. */
function contentOf({ payload }: SentSignal): string {
  const text = JSON.stringify(payload);
  return commentIn(payload) || (text === '{}' ? '' : text);
}
