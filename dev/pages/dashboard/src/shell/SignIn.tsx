import { type FormEvent, useEffect, useId, useState } from 'react';
import { signIn } from '../api/http';
import { problemOfThrown } from '../api/problems';
import { cleanToken } from '../api/session';
import { Button } from '../components/Button';
import { Dialog } from '../components/Dialog';

/** Asks for a token of the cluster. */
export function SignInForm({ wasRefused, onDone }: { wasRefused: boolean; onDone?: () => void }) {
  const [token, setToken] = useState('');
  const [isTrying, setIsTrying] = useState(false);
  const [said, setSaid] = useState(wasRefused ? 'The token of this tab is no longer accepted.' : '');
  const field = useId();

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setIsTrying(true);
    setSaid('');
    try {
      if (await signIn(cleanToken(token))) onDone?.();
      else setSaid('The cluster does not accept this token. It may have expired, or be cut off.');
    } catch (thrown) {
      const problem = problemOfThrown(thrown);
      setSaid('message' in problem ? problem.message : 'The token was not accepted.');
    } finally {
      setIsTrying(false);
    }
  }

  return (
    <form className="sign-in" onSubmit={(event) => void submit(event)}>
      <label htmlFor={field}>Token</label>
      <input
        id={field}
        type="password"
        autoComplete="off"
        spellCheck={false}
        required
        value={token}
        onChange={(event) => setToken(event.target.value)}
        aria-describedby={`${field}-help`}
        aria-invalid={said ? true : undefined}
      />
      <p className="help" id={`${field}-help`}>
        <code>kubectl create token NAME</code> prints one. It stays in this tab, and is forgotten when the tab is
        closed.
      </p>
      <p className="field-problem" role="alert">
        {said}
      </p>
      <Button look="main" type="submit" disabled={isTrying || !token.trim()}>
        {isTrying ? 'Checking…' : 'Sign in'}
      </Button>
    </form>
  );
}

export function SignInPage({ wasRefused }: { wasRefused: boolean }) {
  useEffect(() => {
    document.title = 'Sign in · Podrelay';
  }, []);
  return (
    <main className="sign-in-page">
      <div className="sign-in-card">
        <Mark />
        <h1>Podrelay</h1>
        <p className="help">
          Sign in with a token of the cluster. You see and may do what RBAC lets its user see and do.
        </p>
        <SignInForm wasRefused={wasRefused} />
      </div>
    </main>
  );
}

/** Above a page whose token has expired: what it shows stays, and is current again afterwards. */
export function SignInAgain({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Sign in again" onClose={onClose}>
      <p className="dialog-text">
        Your token is no longer accepted, so nothing on this page is updated. It continues where it is with another one.
      </p>
      <SignInForm wasRefused={false} onDone={onClose} />
    </Dialog>
  );
}

/** Above a page that a proxy has signed in, after the end of its session there. */
export function SessionEnded({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Your session has ended" onClose={onClose}>
      <p className="dialog-text">
        Nothing on this page is updated. Sign in in another tab; this page then continues where it is, by itself.
      </p>
      <div className="dialog-actions">
        <a className="button button-main" href="/" target="_blank" rel="noreferrer">
          Sign in in another tab
        </a>
      </div>
    </Dialog>
  );
}

/** Three pods that hand on a stick. */
export function Mark({ size = 22 }: { size?: number }) {
  return (
    <svg className="mark" aria-hidden="true" width={size} height={size} viewBox="0 0 22 22">
      <rect x="1" y="12" width="8" height="8" rx="2.4" className="mark-1" />
      <rect x="7" y="7" width="8" height="8" rx="2.4" className="mark-2" />
      <rect x="13" y="2" width="8" height="8" rx="2.4" className="mark-3" />
    </svg>
  );
}
