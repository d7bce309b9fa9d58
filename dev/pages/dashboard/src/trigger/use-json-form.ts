import { useState } from 'react';
import { isObject, type JsonObject } from '../json/json';

/** What a form or an editor has made of a JSON object. */
export interface JsonForm {
  value: JsonObject;
  /** The text in the editor; it may not be valid. */
  raw: string;
  /** Why the text is not valid, or nothing. */
  syntax: string;
  change: (value: JsonObject) => void;
  changeRaw: (text: string) => void;
}

/**
 * Keeps a JSON object that is edited by fields and as text, so that one can change between both.
 *
 * @param what the object, for messages.
 */
export function useJsonForm(first: JsonObject, what: string, onChange: () => void): JsonForm {
  const [value, setValue] = useState<JsonObject>(first);
  const [raw, setRaw] = useState(() => JSON.stringify(first, null, 2));
  const [syntax, setSyntax] = useState('');
  return {
    value,
    raw,
    syntax,
    change: (next) => {
      onChange();
      setValue(next);
      setRaw(JSON.stringify(next, null, 2));
      setSyntax('');
    },
    changeRaw: (text) => {
      onChange();
      setRaw(text);
      try {
        const next: unknown = JSON.parse(text.trim() || '{}');
        if (!isObject(next)) throw new Error(`${what} must be an object, such as {"rows": 3}`);
        setValue(next);
        setSyntax('');
      } catch (error) {
        setSyntax(`Not valid JSON: ${(error as Error).message}`);
      }
    },
  };
}
