import { connection } from '../api/connection';
import { isExpired, session } from '../api/session';
import { useStore } from '../api/store';
import { Button } from '../components/Button';
import { WarnSign } from '../components/icons';
import { clock, duration } from '../time/format';
import { useNow } from '../time/now';

/** Says that the page may not be current, and since when. */
export function ConnectionBanner({ onSignIn }: { onSignIn: () => void }) {
  const { state, seenAt, staleSeconds } = useStore(connection);
  const expired = useStore(isExpired);
  const { kind } = useStore(session);
  if (expired) {
    return (
      <div className="banner" role="alert">
        <WarnSign />
        <span>
          {kind === 'none' ? 'Your session has ended.' : 'Your token is no longer accepted.'} What you see is as of{' '}
          <span className="number">{clock(seenAt)}</span>.
        </span>
        <Button onClick={onSignIn}>Sign in again</Button>
      </div>
    );
  }
  if (state === 'cut') {
    return (
      <div className="banner" role="alert">
        <WarnSign />
        <span>
          The connection is interrupted. What you see is as of <span className="number">{clock(seenAt)}</span>
          <Ago since={seenAt} />. The page reconnects by itself.
        </span>
      </div>
    );
  }
  if (staleSeconds > 0) {
    return (
      <div className="banner" role="alert">
        <WarnSign />
        <span>
          The API server does not answer the gateway
          {staleSeconds > 1
            ? `: changes of the last ${duration(staleSeconds * 1000)} may be missing`
            : ', so changes may be missing'}
          . The page is current again by itself.
        </span>
      </div>
    );
  }
  return null;
}

function Ago({ since }: { since: number }) {
  return <span className="number">, {duration(Math.floor((useNow() - since) / 1000) * 1000)} ago</span>;
}
