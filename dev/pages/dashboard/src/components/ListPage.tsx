import type { ReactNode } from 'react';
import type { Problem } from '../api/problems';
import { ProblemNotice } from './Notice';
import { useTitle } from './use-title';

interface Props {
  title: string;
  /** What can be chosen or done, next to the title. */
  actions?: ReactNode;
  problem: Problem | undefined;
  /** What cannot be read if there is a problem. */
  what: string;
  onRetry: () => void;
  children: ReactNode;
}

/** The frame of a page about many things: its title, and what went wrong when they were read. */
export function ListPage({ title, actions, problem, what, onRetry, children }: Props) {
  useTitle(title);
  return (
    <div className="page">
      <header className="page-head">
        <h1>{title}</h1>
        {actions}
      </header>
      {problem ? <ProblemNotice problem={problem} what={what} onRetry={onRetry} /> : null}
      {children}
    </div>
  );
}
