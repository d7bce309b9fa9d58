import { type ReactNode, useEffect, useState } from 'react';
import { session, signOut } from '../api/session';
import { useStore } from '../api/store';
import type { View } from '../app';
import { IconButton } from '../components/Button';
import {
  CloseSign,
  DefinitionsSign,
  InboxSign,
  MenuSign,
  OverviewSign,
  QueueSign,
  RunsSign,
  SchedulesSign,
  SettingsSign,
} from '../components/icons';
import { plain } from '../components/text';
import { Toasts } from '../components/toasts';
import { useWaitingCount } from '../inbox/use-waiting';
import { Link, navigate, useAddress } from '../routing/location';
import { namespacePath } from '../routing/paths';
import { shortUser } from '../runs/RunTable';
import { count } from '../time/format';
import { setZone, type Zone, zone } from '../time/Time';
import { ConnectionBanner } from './ConnectionBanner';
import { hasGraphiql } from './environment';
import { HelpDialog } from './HelpDialog';
import { useKeys } from './keys';
import { NamespacePicker } from './NamespacePicker';
import { useRights } from './rights';
import { Mark } from './SignIn';
import { setTheme, type Theme, theme } from './theme';
import { useStaleness } from './use-staleness';

const VIEWS = [
  { view: 'overview', path: '/', title: 'Overview', Sign: OverviewSign },
  { view: 'runs', path: '/runs', title: 'Runs', Sign: RunsSign },
  { view: 'inbox', path: '/inbox', title: 'Inbox', Sign: InboxSign },
  { view: 'queue', path: '/queue', title: 'Queue', Sign: QueueSign },
  { view: 'schedules', path: '/schedules', title: 'Schedules', Sign: SchedulesSign },
  { view: 'definitions', path: '/definitions', title: 'Definitions', Sign: DefinitionsSign },
  { view: 'settings', path: '/settings', title: 'Settings', Sign: SettingsSign },
] as const;

interface Props {
  view: View;
  namespace: string;
  onSignIn: () => void;
  children: ReactNode;
}

/** What surrounds every view: where one is, and how to get elsewhere. */
export function Shell({ view, namespace, onSignIn, children }: Props) {
  const { path } = useAddress();
  const [isOpen, setIsOpen] = useState(false);
  const [isHelp, setIsHelp] = useState(false);
  const { user, isReadOnly } = useRights();
  // biome-ignore lint/correctness/useExhaustiveDependencies: another page closes the menu.
  useEffect(() => setIsOpen(false), [path]);
  useStaleness(namespace);
  const waiting = useWaitingCount(namespace);
  useKeys({ '?': () => setIsHelp(true) });
  return (
    <div className="shell" data-menu={isOpen ? 'open' : 'closed'}>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="side">
        <div className="side-head">
          <Link to={namespacePath('/', namespace)} className="brand">
            <Mark />
            Podrelay
          </Link>
          <span className="side-toggle">
            {waiting && !isOpen ? (
              <Link to={namespacePath('/inbox', namespace)} className="side-waiting">
                <InboxSign />
                <Badge waiting={waiting} />
              </Link>
            ) : null}
            <IconButton
              label={isOpen ? 'Close the menu' : 'Open the menu'}
              aria-expanded={isOpen}
              aria-controls="menu"
              onClick={() => setIsOpen(!isOpen)}
            >
              {isOpen ? <CloseSign /> : <MenuSign />}
            </IconButton>
          </span>
        </div>
        <div className="side-body" id="menu">
          <NamespacePicker
            namespace={namespace}
            onPick={(name) => navigate(namespacePath(VIEWS.find((one) => one.view === view)?.path ?? '/runs', name))}
          />
          <nav aria-label="Views">
            {VIEWS.map(({ view: name, path: to, title, Sign }) => (
              <Link
                key={name}
                to={namespacePath(to, namespace)}
                className="side-link"
                aria-current={view === name ? 'page' : undefined}
              >
                <Sign />
                {title}
                {name === 'inbox' && waiting ? <Badge waiting={waiting} /> : null}
              </Link>
            ))}
          </nav>
          <div className="side-foot">
            {user ? (
              <p className="side-user" title={plain(user)}>
                <bdi>{plain(shortUser(user), 80)}</bdi>
              </p>
            ) : null}
            <Preferences />
            <div className="side-actions">
              <button type="button" className="link" onClick={() => setIsHelp(true)}>
                Keys
              </button>
              {hasGraphiql ? <a href="/graphiql">GraphiQL</a> : null}
              <SignOut />
            </div>
          </div>
        </div>
      </header>
      <main className="main" id="content" tabIndex={-1}>
        <ConnectionBanner onSignIn={onSignIn} />
        {isReadOnly ? <p className="read-only">You may look, but not change anything in this namespace.</p> : null}
        {children}
      </main>
      <Toasts />
      {isHelp ? <HelpDialog onClose={() => setIsHelp(false)} /> : null}
    </div>
  );
}

/** How many runs wait for the user. */
function Badge({ waiting }: { waiting: number }) {
  return (
    <span className="badge number">
      {count(waiting)}
      <span className="hidden"> {waiting === 1 ? 'waits' : 'wait'} for you</span>
    </span>
  );
}

function SignOut() {
  const user = useStore(session);
  if (user.kind !== 'token') return null;
  return (
    <button type="button" className="link" onClick={() => signOut()}>
      Sign out
    </button>
  );
}

function Preferences() {
  return (
    <div className="preferences">
      <label>
        <span>Theme</span>
        <select value={useStore(theme)} onChange={(event) => setTheme(event.target.value as Theme)}>
          <option value="system">System</option>
          <option value="light">Light</option>
          <option value="dark">Dark</option>
        </select>
      </label>
      <label>
        <span>Times</span>
        <select value={useStore(zone)} onChange={(event) => setZone(event.target.value as Zone)}>
          <option value="relative">Relative</option>
          <option value="local">Local</option>
          <option value="utc">UTC</option>
        </select>
      </label>
    </div>
  );
}
