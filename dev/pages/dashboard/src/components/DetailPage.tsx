import type { ReactNode } from 'react';
import type { Problem } from '../api/problems';
import { Empty, ProblemNotice } from './Notice';
import { plain } from './text';
import { useTitle } from './use-title';

interface Props {
  /** Links to the pages above this one. */
  crumbs: ReactNode;
  title: string;
  /** Of the tab, if it differs. */
  tabTitle?: string;
  /** What is said next to the title: a state, an id. */
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of a page about one thing: where it is, what it is called, and what can be done with it. */
export function DetailPage({ crumbs, title, tabTitle = title, note, actions, children }: Props) {
  useTitle(tabTitle);
  return (
    <div className="page">
      <header className="run-head">
        <nav className="crumbs" aria-label="Where this is">
          {crumbs}
        </nav>
        <div className="page-head">
          <div className="run-title">
            <h1>
              <bdi>{plain(title, 200)}</bdi>
            </h1>
            {note}
          </div>
          {actions ? <div className="page-actions">{actions}</div> : null}
        </div>
      </header>
      {children}
    </div>
  );
}

interface UnreadProps {
  /** The name in the address. */
  name: string;
  problem: Problem | undefined;
  what: string;
  onRetry: () => void;
  /** What is said if there is no such thing; undefined if that is not known. */
  missing: { title: string; text?: ReactNode } | undefined;
}

/** In the place of a page about one thing: it does not exist, cannot be read, or was not read yet. */
export function UnreadPage({ name, problem, what, onRetry, missing }: UnreadProps) {
  useTitle(name);
  return (
    <div className="page">
      {problem ? <ProblemNotice problem={problem} what={what} onRetry={onRetry} /> : null}
      {missing ? (
        <Empty title={missing.title} isPage>
          {missing.text}
        </Empty>
      ) : null}
    </div>
  );
}
