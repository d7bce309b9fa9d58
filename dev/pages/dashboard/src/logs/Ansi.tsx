import { memo } from 'react';
import { plain } from '../components/text';
import { parseAnsi, type Span } from './ansi-codes';

/** A text with the colours of terminals. Everything else that controls a terminal is left out. */
export const Ansi = memo(function Ansi({ text }: { text: string }) {
  const spans = parseAnsi(text);
  return (
    <>
      {spans.map((span, place) => {
        const classes = classesOf(span);
        const shown = plain(span.text, Number.POSITIVE_INFINITY);
        return classes ? (
          <span key={place} className={classes}>
            {shown}
          </span>
        ) : (
          shown
        );
      })}
    </>
  );
});

function classesOf({ colour, isBold, isDim, isUnderlined }: Span): string {
  return [
    colour === undefined ? '' : `ansi-${colour}`,
    isBold ? 'ansi-bold' : '',
    isDim ? 'ansi-dim' : '',
    isUnderlined ? 'ansi-underlined' : '',
  ]
    .filter(Boolean)
    .join(' ');
}
