import { lazy, Suspense } from 'react';
import { plain } from '../components/text';
import { SchemaForm } from './SchemaForm';
import type { Field } from './schema-form';
import type { JsonForm } from './use-json-form';

const JsonEditor = lazy(() => import('./JsonEditor'));

interface Props {
  form: JsonForm;
  /** From the schema; undefined if it has none that can be shown as a form. */
  fields: readonly Field[] | undefined;
  isRaw: boolean;
  /** What the gateway says about fields, by their path. */
  messages: Record<string, string>;
  /** Of the editor. */
  label: string;
}

/** A JSON object as fields, or as text, with all that is wrong with it. */
export function JsonFields({ form, fields, isRaw, messages, label }: Props) {
  const others = Object.entries(messages).filter(
    ([path]) => isRaw || !fields?.some((one) => path.split('.')[0] === one.name),
  );
  return (
    <>
      {isRaw || !fields ? (
        <div className="trigger-raw">
          <Suspense fallback={null}>
            <JsonEditor text={form.raw} label={label} onChange={form.changeRaw} />
          </Suspense>
        </div>
      ) : (
        <div className="trigger-fields">
          <SchemaForm fields={fields} value={form.value} messages={messages} onChange={form.change} />
        </div>
      )}
      {others.length ? (
        <ul className="trigger-problems field-problem">
          {others.map(([path, message]) => (
            <li key={path}>
              {path ? <code>{plain(path, 200)}</code> : null} {plain(message, 500)}
            </li>
          ))}
        </ul>
      ) : null}
      <p className="field-problem trigger-problems" role="alert">
        {form.syntax}
      </p>
    </>
  );
}

/** Chooses between the two. */
export function FormOrJson({ isRaw, onChange }: { isRaw: boolean; onChange: (isRaw: boolean) => void }) {
  return (
    <div className="segments">
      <button type="button" aria-pressed={!isRaw} onClick={() => onChange(false)}>
        Form
      </button>
      <button type="button" aria-pressed={isRaw} onClick={() => onChange(true)}>
        JSON
      </button>
    </div>
  );
}
