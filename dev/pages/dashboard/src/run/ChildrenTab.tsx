import { useState } from 'react';
import { send } from '../api/http';
import { dataOf, problemOfThrown } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { Empty, ProblemNotice } from '../components/Notice';
import { PhaseCounts } from '../components/PhaseCounts';
import { Status } from '../components/Status';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { Elapsed, Time } from '../time/Time';
import { ListChildren, type RunDetail } from './documents';

/** The runs that a run has started, as a tree that is unfolded where one looks. */
export function ChildrenTab({ run }: { run: RunDetail }) {
  const counts = run.childCounts ?? [];
  if (counts.length === 0) return <Empty title="It has started no other runs" />;
  return (
    <div className="panel">
      <div className="tree-head">
        <PhaseCounts counts={counts} />
        {run.failedLeaf ? (
          <Link to={runPath(run.failedLeaf.namespace, nameOf(run.failedLeaf.id))}>Go to where the failure began</Link>
        ) : null}
      </div>
      <ul className="tree" aria-label="Children">
        <Branch namespace={run.namespace} name={nameOf(run.id)} version={run.version} />
      </ul>
    </div>
  );
}

type Page = NonNullable<Awaited<ReturnType<typeof readPage>>>;
type Child = NonNullable<Page['data']>[number];

async function readPage(namespace: string, name: string, after: string | null) {
  const answer = await send(ListChildren, { id: name, after }, namespace);
  return dataOf(answer.backgroundTasks?.getTask).children;
}

function Branch({ namespace, name, version }: { namespace: string; name: string; version?: string }) {
  const first = useQuery(ListChildren, { id: name }, namespace, version);
  const [more, setMore] = useState<Page[]>([]);
  const page = first.data?.backgroundTasks?.getTask?.data?.children;
  if (first.problem && !page) return <ProblemNotice problem={first.problem} what="the children" />;
  if (!page) return null;
  const pages = [page, ...more];
  const { meta } = pages.at(-1) ?? page;
  async function load(): Promise<void> {
    try {
      const next = await readPage(namespace, name, meta?.cursor ?? null);
      setMore((before) => [...before, next]);
    } catch (thrown) {
      const problem = problemOfThrown(thrown);
      say('message' in problem ? problem.message : 'The children cannot be read.', 'bad');
    }
  }
  return (
    <>
      {pages
        .flatMap(({ data }) => data ?? [])
        .map((child) => (
          <Leaf key={child.id} child={child} />
        ))}
      {meta?.hasMoreItems ? (
        <li>
          <Button onClick={() => void load()}>More</Button>
        </li>
      ) : null}
    </>
  );
}

function Leaf({ child }: { child: Child }) {
  const [isOpen, setIsOpen] = useState(false);
  const counts = child.childCounts ?? [];
  const hasChildren = counts.length > 0;
  const title = plain(child.name ?? nameOf(child.id), 120);
  return (
    <li>
      <div className="tree-row">
        {hasChildren ? (
          <button
            type="button"
            className="json-fold"
            aria-expanded={isOpen}
            aria-label={`Children of ${title}`}
            onClick={() => setIsOpen(!isOpen)}
          >
            {isOpen ? '▾' : '▸'}
          </button>
        ) : (
          <span className="tree-space" />
        )}
        <Status run={child} />
        <Link to={runPath(child.namespace, nameOf(child.id))} className="row-link">
          <bdi>{title}</bdi>
        </Link>
        {hasChildren ? <PhaseCounts counts={counts} /> : null}
        <span className="tree-message">{child.phase === 'Failed' ? plain(child.message ?? '', 160) : ''}</span>
        <span className="tree-time">
          <Elapsed from={child.startedOn} to={child.finishedOn} />
        </span>
        <span className="tree-time">
          <Time at={child.createdOn} />
        </span>
      </div>
      {isOpen ? (
        <ul className="tree">
          <Branch namespace={child.namespace} name={nameOf(child.id)} />
        </ul>
      ) : null}
    </li>
  );
}
