const BIDI = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

/**
 * Returns a text that was written by others so that it cannot mislead: marks that turn the direction of what follows,
 * and control characters, are shown by their number; a text that is too long for its place is cut.
 */
export function plain(text: string, most = 2000): string {
  const cut = text.length > most ? `${text.slice(0, most)}…` : text;
  return cut.replace(BIDI, shown).replace(CONTROL, shown);
}

function shown(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
