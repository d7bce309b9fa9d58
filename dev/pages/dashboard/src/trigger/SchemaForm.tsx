import { useId, useState } from 'react';
import { plain } from '../components/text';
import type { Json, JsonObject } from '../json/json';
import { type Field, valueAt, withValue } from './schema-form';

interface Props {
  fields: readonly Field[];
  value: JsonObject;
  messages: Record<string, string>;
  onChange: (value: JsonObject) => void;
  path?: readonly string[];
}

/** A form for an object. What is left empty is not sent, so that the defaults of the task apply. */
export function SchemaForm({ fields, value, messages, onChange, path = [] }: Props) {
  return (
    <>
      {fields.map((field) => {
        const own = [...path, field.name];
        if (field.kind === 'group') {
          return (
            <fieldset key={field.name} className="group">
              <legend>{plain(field.title, 100)}</legend>
              {field.help ? <p className="help">{plain(field.help, 500)}</p> : null}
              <SchemaForm fields={field.fields} value={value} messages={messages} onChange={onChange} path={own} />
            </fieldset>
          );
        }
        return (
          <Entry
            key={field.name}
            field={field}
            value={valueAt(value, own)}
            message={messages[own.join('.')]}
            onChange={(next) => onChange(withValue(value, own, next))}
          />
        );
      })}
    </>
  );
}

interface EntryProps {
  field: Exclude<Field, { kind: 'group' }>;
  value: Json | undefined;
  message: string | undefined;
  onChange: (value: Json | undefined) => void;
}

function Entry({ field, value, message, onChange }: EntryProps) {
  const id = useId();
  const usual = field.usual === undefined || field.usual === '' ? undefined : JSON.stringify(field.usual);
  const control = { id, 'aria-describedby': `${id}-help`, 'aria-invalid': message ? true : undefined } as const;
  return (
    <div className="field">
      {field.kind === 'boolean' ? (
        <label className="check" htmlFor={id}>
          <input
            {...control}
            type="checkbox"
            checked={typeof value === 'boolean' ? value : field.usual === true}
            onChange={(event) => onChange(event.target.checked)}
          />
          <Title field={field} />
        </label>
      ) : (
        <>
          <label htmlFor={id}>
            <Title field={field} />
          </label>
          <Control field={field} value={value} usual={usual} control={control} onChange={onChange} />
        </>
      )}
      <p className="help" id={`${id}-help`}>
        {plain(field.help, 500)}
        {usual && usual.length < 60 && field.kind !== 'boolean' && field.kind !== 'choice' ? (
          <span className="second"> Default: {usual}</span>
        ) : null}
      </p>
      <p className="field-problem" role="alert">
        {message}
      </p>
    </div>
  );
}

function Title({ field }: { field: Field }) {
  return (
    <span className="field-title">
      {plain(field.title, 100)}
      {field.isRequired ? <span className="required"> required</span> : null}
    </span>
  );
}

interface ControlProps {
  field: Exclude<Field, { kind: 'group' | 'boolean' }> | Extract<Field, { kind: 'boolean' }>;
  value: Json | undefined;
  usual: string | undefined;
  control: { id: string; 'aria-describedby': string; 'aria-invalid': true | undefined };
  onChange: (value: Json | undefined) => void;
}

function Control({ field, value, usual, control, onChange }: ControlProps) {
  switch (field.kind) {
    case 'choice':
      return (
        <select
          {...control}
          value={value === undefined ? '' : JSON.stringify(value)}
          onChange={(event) =>
            onChange(event.target.value === '' ? undefined : (JSON.parse(event.target.value) as Json))
          }
        >
          <option value="">{usual ? `default: ${usual.replaceAll('"', '')}` : 'choose …'}</option>
          {field.options.map((option) => (
            <option key={JSON.stringify(option)} value={JSON.stringify(option)}>
              {plain(typeof option === 'string' ? option : JSON.stringify(option), 100)}
            </option>
          ))}
        </select>
      );
    case 'number':
      return (
        <input
          {...control}
          type="number"
          min={field.least}
          max={field.most}
          step={field.isInteger ? 1 : 'any'}
          placeholder={usual}
          value={typeof value === 'number' ? value : ''}
          onChange={(event) => onChange(event.target.value === '' ? undefined : Number(event.target.value))}
        />
      );
    case 'text': {
      const shown = typeof value === 'string' ? value : '';
      const change = (next: string) => onChange(next === '' && !field.isRequired ? undefined : next);
      return field.isLong ? (
        <textarea {...control} rows={5} value={shown} onChange={(event) => change(event.target.value)} />
      ) : (
        <input
          {...control}
          type={field.format === 'date' ? 'date' : 'text'}
          placeholder={field.example ?? usual?.replace(/^"|"$/g, '')}
          value={shown}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => change(event.target.value)}
        />
      );
    }
    case 'texts':
      return (
        <Lines
          control={control}
          value={Array.isArray(value) ? value.map(String) : []}
          onChange={(lines) => onChange(lines.length ? lines : undefined)}
        />
      );
    default:
      return <JsonField control={control} value={value} usual={usual} onChange={onChange} />;
  }
}

interface LinesProps {
  control: ControlProps['control'];
  value: string[];
  onChange: (value: string[]) => void;
}

/** A list of texts, one on each line. */
function Lines({ control, value, onChange }: LinesProps) {
  const [typed, setTyped] = useState(value.join('\n'));
  const shown = typed.split('\n').filter(Boolean).join('\n') === value.join('\n') ? typed : value.join('\n');
  return (
    <textarea
      {...control}
      rows={3}
      placeholder="one on each line"
      value={shown}
      onChange={(event) => {
        setTyped(event.target.value);
        onChange(event.target.value.split('\n').filter(Boolean));
      }}
    />
  );
}

function JsonField({ control, value, usual, onChange }: Omit<ControlProps, 'field'>) {
  const [typed, setTyped] = useState(value === undefined ? '' : JSON.stringify(value, null, 2));
  const [problem, setProblem] = useState('');
  return (
    <>
      <textarea
        {...control}
        rows={3}
        className="mono"
        placeholder={usual ?? 'JSON'}
        value={typed}
        spellCheck={false}
        onChange={(event) => {
          const next = event.target.value;
          setTyped(next);
          try {
            onChange(next.trim() === '' ? undefined : (JSON.parse(next) as Json));
            setProblem('');
          } catch (error) {
            setProblem(`Not JSON: ${(error as Error).message}`);
          }
        }}
      />
      <p className="field-problem" role="alert">
        {problem}
      </p>
    </>
  );
}
