import { isObject, type Json } from './json';

const PLAIN = /^[A-Za-z_./][A-Za-z0-9_./ -]*$/;
const WORDS = new Set(['true', 'false', 'null', 'yes', 'no', 'on', 'off', 'y', 'n', '~']);

/** Returns a value as YAML, as kubectl would print it. */
export function toYaml(value: Json, indent = ''): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []\n';
    return `\n${value.map((item) => `${indent}-${inline(item, `${indent}  `)}`).join('')}`;
  }
  if (isObject(value)) {
    const keys = Object.keys(value);
    if (keys.length === 0) return ' {}\n';
    const lines = keys.map((key) => {
      const inner = value[key] ?? null;
      // Lists are not indented below their key.
      return `${indent}${scalar(key)}:${toYaml(inner, Array.isArray(inner) ? indent : `${indent}  `)}`;
    });
    return `\n${lines.join('')}`;
  }
  if (typeof value === 'string' && value.includes('\n') && !/[^\n\t\x20-\x7e\u00a0-\uffff]/.test(value)) {
    const lines = value.replace(/\n$/, '').split('\n');
    if (!lines[0]?.startsWith(' ')) {
      const mark = value.endsWith('\n') ? '|' : '|-';
      return ` ${mark}\n${lines.map((line) => (line ? `${indent}${line}\n` : '\n')).join('')}`;
    }
  }
  return ` ${scalar(value)}\n`;
}

/** An item of a list: the first key of an object is on the line of its dash. */
function inline(item: Json, indent: string): string {
  const text = toYaml(item, indent);
  return isObject(item) && text.startsWith('\n') ? ` ${text.slice(1 + indent.length)}` : text;
}

function scalar(value: Json): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  const isPlain = PLAIN.test(value) && !value.endsWith(' ') && !WORDS.has(value.toLowerCase());
  return isPlain ? value : JSON.stringify(value);
}
