import type { ReactNode } from 'react';

const PART = /`([^`]+)`|\[([^\]]+)\]\([^)]*\)|\*\*([^*]+)\*\*/g;

/** A sentence of the documentation: code and bold text are marked, links are their text. */
export function Markdown({ text }: { text: string }) {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(PART)) {
    parts.push(text.slice(end, match.index));
    const [all, code, link, bold] = match;
    if (code) parts.push(<code key={match.index}>{code}</code>);
    else if (link) parts.push(<Markdown key={match.index} text={link} />);
    else parts.push(<strong key={match.index}>{bold}</strong>);
    end = match.index + all.length;
  }
  parts.push(text.slice(end));
  return <>{parts}</>;
}
