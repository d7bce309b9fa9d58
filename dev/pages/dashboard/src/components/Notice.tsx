import type { ReactNode } from 'react';
import type { Problem } from '../api/problems';
import { Button } from './Button';
import { InfoSign, WarnSign } from './icons';

/** A box with something that the reader should know. */
export function Notice({
  tone,
  title,
  children,
}: {
  tone: 'bad' | 'warn' | 'info';
  title: string;
  children?: ReactNode;
}) {
  return (
    <div className={`notice notice-${tone}`} role={tone === 'bad' ? 'alert' : 'status'}>
      {tone === 'info' ? <InfoSign /> : <WarnSign />}
      <div className="notice-body">
        <strong>{title}</strong>
        {children ? <div>{children}</div> : null}
      </div>
    </div>
  );
}

/** Says what went wrong, and what can be done. It takes the place of what could not be read, never of the page. */
export function ProblemNotice({ problem, what, onRetry }: { problem: Problem; what: string; onRetry?: () => void }) {
  const retry = onRetry ? (
    <Button className="notice-action" onClick={onRetry}>
      Try again
    </Button>
  ) : null;
  switch (problem.kind) {
    case 'signed-out':
      return null; // the page asks for another token by itself
    case 'forbidden':
      return (
        <Notice tone="info" title={`You may not see ${what}`}>
          {problem.message}
        </Notice>
      );
    case 'unreachable':
      return (
        <Notice tone="warn" title={`${capital(what)} cannot be read at the moment`}>
          {problem.message} It is tried again by itself.
          {retry}
        </Notice>
      );
    case 'refused':
      return (
        <Notice tone="bad" title={`${capital(what)} cannot be read`}>
          {problem.message}
          {retry}
        </Notice>
      );
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

interface EmptyProps {
  title: string;
  children?: ReactNode;
  /** It is all that the page has. */
  isPage?: boolean;
}

/** Says that there is nothing, and what would be here. */
export function Empty({ title, children, isPage = false }: EmptyProps) {
  return (
    <div className="empty">
      {isPage ? <h1>{title}</h1> : <strong>{title}</strong>}
      {children ? <div>{children}</div> : null}
    </div>
  );
}
