import { useEffect, useState } from 'react';
import { problemIn } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { ListPage } from '../components/ListPage';
import { Empty } from '../components/Notice';
import { plain } from '../components/text';
import { Link, navigate, useAddress, withSearch } from '../routing/location';
import { ALL_NAMESPACES, definitionPath, nameOf, namespacePath, runPath } from '../routing/paths';
import { shortUser } from '../runs/RunTable';
import { count } from '../time/format';
import { Time } from '../time/Time';
import { ListWaiting, type WaitingRun } from './documents';
import { SignalDialog } from './SignalDialog';
import { type SteadyList, steady } from './steady-list';
import { useWaitingChanges } from './use-waiting';
import { type Asked, WaitSignals } from './WaitSignals';

/** The runs that wait for a signal or an approval that the user may send, or all that wait. */
export function InboxPage({ namespace }: { namespace: string }) {
  const address = useAddress();
  const isAll = address.search.get('show') === 'all';
  const after = address.search.get('after');
  const version = useWaitingChanges(namespace);
  const query = useQuery(ListWaiting, { mine: !isAll, after }, namespace, version);
  const answer = query.data?.backgroundTasks?.listWaiting;
  const choose = (show: string | null) => navigate(withSearch(address, { show, after: null, namespace }));
  const choice = (
    <div className="segments">
      <button type="button" aria-pressed={!isAll} onClick={() => choose(null)}>
        For me
      </button>
      <button type="button" aria-pressed={isAll} onClick={() => choose('all')}>
        All
      </button>
    </div>
  );
  return (
    <ListPage
      title="Inbox"
      actions={choice}
      problem={problemIn(query, answer)}
      what="the runs that wait"
      onRetry={query.refetch}
    >
      {answer?.data ? (
        <>
          <Waits
            key={`${isAll} ${after}`}
            runs={answer.data}
            namespace={namespace}
            isAll={isAll}
            onSent={query.refetch}
          />
          <Pages after={after} meta={answer.meta} onGo={(to) => navigate(withSearch(address, { after: to }))} />
        </>
      ) : null}
    </ListPage>
  );
}

interface PagesProps {
  after: string | null;
  meta: { cursor: string | null; hasMoreItems: boolean; totalCount: number } | null;
  onGo: (after: string | null) => void;
}

function Pages({ after, meta, onGo }: PagesProps) {
  if (!meta || (!after && !meta.hasMoreItems)) return null;
  return (
    <div className="pages">
      <span className="second number">{count(meta.totalCount)} wait</span>
      {after ? <Button onClick={() => onGo(null)}>Newest</Button> : null}
      {meta.hasMoreItems ? <Button onClick={() => onGo(meta.cursor)}>Older</Button> : null}
    </div>
  );
}

interface WaitsProps {
  runs: readonly WaitingRun[];
  namespace: string;
  isAll: boolean;
  onSent: () => void;
}

function Waits({ runs, namespace, isAll, onSent }: WaitsProps) {
  const [list, setList] = useState<SteadyList<WaitingRun>>(() => steady(undefined, runs, false));
  const [isPointing, setIsPointing] = useState(false);
  const [asked, setAsked] = useState<Asked>();
  const [hasFocus, setHasFocus] = useState(false);
  const isInUse = isPointing || hasFocus || asked !== undefined;
  useEffect(() => setList((before) => steady(before, runs, isInUse)), [runs, isInUse]);
  const gone = list.rows.filter(({ isOver }) => isOver).length;
  return (
    <>
      {list.waiting ? (
        <div role="status">
          <Button onClick={() => setList(steady(undefined, runs, false))}>
            {[`${count(list.waiting)} new`, gone ? `${count(gone)} answered` : ''].filter(Boolean).join(', ')}
          </Button>
        </div>
      ) : null}
      {list.rows.length === 0 ? <Nothing namespace={namespace} isAll={isAll} /> : null}
      <ul
        className="waits"
        aria-label="Runs that wait"
        onPointerEnter={() => setIsPointing(true)}
        onPointerLeave={() => setIsPointing(false)}
        onFocus={() => setHasFocus(true)}
        onBlur={(event) => setHasFocus(isKept(event.currentTarget, event.relatedTarget))}
      >
        {list.rows.map(({ item, isOver }) => (
          <li key={item.id} className={`panel wait ${isOver ? 'wait-over' : ''}`}>
            <Head
              run={item}
              isOfAll={namespace === ALL_NAMESPACES}
              over={isOver ? (isAll ? 'No longer waits' : 'No longer waits for you') : undefined}
            />
            <WaitSignals wait={item} over={isOver ? 'It no longer waits for you.' : undefined} onAsk={setAsked} />
          </li>
        ))}
      </ul>
      {asked ? (
        <SignalDialog
          asked={asked}
          current={runs.find(({ id }) => id === asked.wait.id)}
          onClose={() => setAsked(undefined)}
          onSent={onSent}
        />
      ) : null}
    </>
  );
}

/** Returns whether the focus stays in the list; a dialog gives it back. */
function isKept(list: Element, next: Element | null): boolean {
  return list.contains(next) || document.querySelector('dialog[open]') !== null;
}

function Head({ run, isOfAll, over }: { run: WaitingRun; isOfAll: boolean; over: string | undefined }) {
  const { namespace, definitionId, waitingFor } = run;
  const id = nameOf(run.id);
  return (
    <header className="wait-head">
      <div>
        <h2>
          <Link to={runPath(namespace, id)}>
            <bdi>{plain(run.name ?? id, 120)}</bdi>
          </Link>
        </h2>
        <p className="second wait-facts">
          <span className="mono">{plain(id, 100)}</span>
          {definitionId ? <Link to={definitionPath(namespace, definitionId)}>{plain(definitionId, 60)}</Link> : null}
          {isOfAll ? <Link to={namespacePath('/inbox', namespace)}>{namespace}</Link> : null}
          <span>
            by <bdi>{plain(shortUser(run.createdBy.displayName), 60)}</bdi>
          </span>
        </p>
      </div>
      {over ? (
        <span className="status tag tone-quiet">{over}</span>
      ) : (
        <p className="second wait-times">
          <span>
            waits since <Time at={waitingFor?.since} />
          </span>
          <span>
            until <Time at={waitingFor?.until} />
          </span>
        </p>
      )}
    </header>
  );
}

function Nothing({ namespace, isAll }: { namespace: string; isAll: boolean }) {
  if (isAll) return <Empty title="No run waits for a signal">Runs that do are shown here at once.</Empty>;
  return (
    <Empty title="Nothing waits for you">
      Runs that wait for an approval or another signal that you may send are shown here at once.{' '}
      <Link to={namespacePath('/inbox', namespace, { show: 'all' })}>All runs that wait</Link>
    </Empty>
  );
}
