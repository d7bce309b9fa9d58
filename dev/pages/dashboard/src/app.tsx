import { type ReactNode, useEffect, useState } from 'react';
import { begin, resume } from './api/http';
import { isExpired, session } from './api/session';
import { useStore } from './api/store';
import { ErrorBoundary } from './components/ErrorBoundary';
import { Empty, Notice } from './components/Notice';
import { DefinitionPage } from './definitions/DefinitionPage';
import { DefinitionsPage } from './definitions/DefinitionsPage';
import { InboxPage } from './inbox/InboxPage';
import { OverviewPage } from './overview/OverviewPage';
import { QueuePage } from './queue/QueuePage';
import { Link, useAddress } from './routing/location';
import { namespacePath, segments } from './routing/paths';
import { RunPage } from './run/RunPage';
import { RunsPage } from './runs/RunsPage';
import { SchedulePage } from './schedules/SchedulePage';
import { SchedulesPage } from './schedules/SchedulesPage';
import { SettingsPage } from './settings/SettingsPage';
import { fallbackNamespace, remember } from './shell/namespace';
import { RightsProvider } from './shell/rights';
import { Shell } from './shell/Shell';
import { SessionEnded, SignInAgain, SignInPage } from './shell/SignIn';
import { TriggerPage } from './trigger/TriggerPage';

export type View = 'overview' | 'runs' | 'definitions' | 'schedules' | 'inbox' | 'queue' | 'settings' | 'missing';

export function App() {
  const user = useStore(session);
  const expired = useStore(isExpired);
  const [isAsking, setIsAsking] = useState(false);
  const unreachable = useBegin(user.kind);
  useEffect(() => setIsAsking(expired), [expired]);
  useResume(expired && user.kind === 'none');

  if (user.kind === 'checking') {
    return unreachable ? (
      <main className="sign-in-page">
        <Notice tone="warn" title="The gateway does not answer">
          It is tried again by itself.
        </Notice>
      </main>
    ) : null;
  }
  const Again = user.kind === 'none' ? SessionEnded : SignInAgain;
  if (user.kind === 'signed-out') return <SignInPage wasRefused={user.wasRefused} />;
  return (
    <>
      <Views onSignIn={() => setIsAsking(true)} />
      {expired && isAsking ? <Again onClose={() => setIsAsking(false)} /> : null}
    </>
  );
}

/** Finds out once how to sign in; returns whether the gateway does not answer. */
function useBegin(kind: string): boolean {
  const [unreachable, setUnreachable] = useState(false);
  useEffect(() => {
    if (kind !== 'checking') return;
    let timer: ReturnType<typeof setTimeout>;
    function ask(): void {
      begin().catch(() => {
        setUnreachable(true);
        timer = setTimeout(ask, 2000);
      });
    }
    ask();
    return () => clearTimeout(timer);
  }, [kind]);
  return unreachable;
}

/** A page without a token of its own tries again until a proxy knows its user again, who signs in elsewhere. */
function useResume(isWaiting: boolean): void {
  useEffect(() => {
    if (!isWaiting) return;
    function ask(): void {
      resume().catch(() => undefined);
    }
    const timer = setInterval(ask, 5000);
    addEventListener('focus', ask);
    return () => {
      clearInterval(timer);
      removeEventListener('focus', ask);
    };
  }, [isWaiting]);
}

function Views({ onSignIn }: { onSignIn: () => void }) {
  const address = useAddress();
  const [first = '', second, third] = segments(address.path);
  const namespace = second ?? address.search.get('namespace') ?? fallbackNamespace();
  useEffect(() => remember(namespace), [namespace]);
  const { view, page } = viewOf(first, namespace, third, address.search);
  return (
    <RightsProvider namespace={namespace}>
      <Shell view={view} namespace={namespace} onSignIn={onSignIn}>
        <ErrorBoundary key={address.path}>{page}</ErrorBoundary>
      </Shell>
    </RightsProvider>
  );
}

function viewOf(
  first: string,
  namespace: string,
  name: string | undefined,
  search: URLSearchParams,
): { view: View; page: ReactNode } {
  switch (first) {
    case '':
      return { view: 'overview', page: <OverviewPage key={namespace} namespace={namespace} /> };
    case 'runs':
      if (name !== undefined) {
        return { view: 'runs', page: <RunPage key={`${namespace}/${name}`} namespace={namespace} name={name} /> };
      }
      return { view: 'runs', page: <RunsPage key={namespace} namespace={namespace} /> };
    case 'definitions':
      if (name !== undefined) {
        const key = `${namespace}/${name}`;
        return { view: 'definitions', page: <DefinitionPage key={key} namespace={namespace} id={name} /> };
      }
      return { view: 'definitions', page: <DefinitionsPage key={namespace} namespace={namespace} /> };
    case 'trigger':
      if (name !== undefined) {
        const from = search.get('from') ?? undefined;
        const page = <TriggerPage key={`${namespace}/${name}/${from}`} namespace={namespace} id={name} from={from} />;
        return { view: 'definitions', page };
      }
      return { view: 'definitions', page: <DefinitionsPage key={namespace} namespace={namespace} /> };
    case 'schedules':
      if (name !== undefined) {
        const key = `${namespace}/${name}`;
        return { view: 'schedules', page: <SchedulePage key={key} namespace={namespace} name={name} /> };
      }
      return { view: 'schedules', page: <SchedulesPage key={namespace} namespace={namespace} /> };
    case 'inbox':
      return { view: 'inbox', page: <InboxPage key={namespace} namespace={namespace} /> };
    case 'queue':
      return { view: 'queue', page: <QueuePage key={namespace} namespace={namespace} /> };
    case 'settings':
      return { view: 'settings', page: <SettingsPage key={namespace} namespace={namespace} /> };
    default:
      return {
        view: 'missing',
        page: (
          <Empty title="There is no such page" isPage>
            <Link to={namespacePath('/runs', namespace)}>All runs</Link>
          </Empty>
        ),
      };
  }
}
