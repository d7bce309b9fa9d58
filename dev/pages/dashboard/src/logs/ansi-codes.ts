/** A part of a line with the same look. */
export interface Span {
  text: string;
  colour: number | undefined;
  isBold: boolean;
  isDim: boolean;
  isUnderlined: boolean;
}

type Look = Omit<Span, 'text'>;

const USUAL: Look = { colour: undefined, isBold: false, isDim: false, isUnderlined: false };
/** Codes that set a look, and all other control sequences: those only move the cursor or name a window. */
const SEQUENCE =
  /\u001b\[([0-9;]*)m|\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]/g;

/** Splits a text with the colours of terminals into parts. */
export function parseAnsi(text: string): Span[] {
  if (!text.includes('\u001b')) return text ? [{ text, ...USUAL }] : [];
  const spans: Span[] = [];
  let look = USUAL;
  let end = 0;
  function add(part: string): void {
    if (part) spans.push({ text: part, ...look });
  }
  for (const match of text.matchAll(SEQUENCE)) {
    add(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[1] !== undefined) look = withCodes(look, match[1]);
  }
  add(text.slice(end));
  return spans;
}

/** Returns a text without control sequences. */
export function stripAnsi(text: string): string {
  return text.includes('\u001b') ? text.replace(SEQUENCE, '') : text;
}

function withCodes(look: Look, text: string): Look {
  const codes = text === '' ? [0] : text.split(';').map(Number);
  let next = look;
  for (let place = 0; place < codes.length; place += 1) {
    const code = codes[place] ?? 0;
    if (code === 0) next = USUAL;
    else if (code === 1) next = { ...next, isBold: true };
    else if (code === 2) next = { ...next, isDim: true };
    else if (code === 4) next = { ...next, isUnderlined: true };
    else if (code === 22) next = { ...next, isBold: false, isDim: false };
    else if (code === 24) next = { ...next, isUnderlined: false };
    else if (code === 39) next = { ...next, colour: undefined };
    else if (code >= 30 && code <= 37) next = { ...next, colour: code - 30 };
    else if (code >= 90 && code <= 97) next = { ...next, colour: code - 90 };
    else if (code === 38 || code === 48) {
      // A colour of 256, or of 16 million: shown as the nearest usual one, or not at all.
      const isIndexed = codes[place + 1] === 5;
      const index = codes[place + 2] ?? 0;
      if (code === 38 && isIndexed && index < 16) next = { ...next, colour: index % 8 };
      place += isIndexed ? 2 : 4;
    }
  }
  return next;
}
