import { type FormEvent, lazy, Suspense, useEffect, useMemo, useState } from 'react';
import { send } from '../api/http';
import { dataOf, problemOf, problemOfThrown } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { Empty, Notice, ProblemNotice } from '../components/Notice';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { isObject, type Json, type JsonObject } from '../json/json';
import { Link, navigate, useAddress, withSearch } from '../routing/location';
import { definitionPath, nameOf, namespacePath, runPath } from '../routing/paths';
import { GetPayloads } from '../run/documents';
import { useRights } from '../shell/rights';
import { GetInputSchema, TriggerRun, ValidateInput } from './documents';
import { SchemaForm } from './SchemaForm';
import { fieldsOf, messagesOf } from './schema-form';

const JsonEditor = lazy(() => import('./JsonEditor'));
const TYPING_MS = 350;

/** Starts a run of a definition, with a form or with JSON; filled from an earlier run if `from` names one. */
export default function TriggerPage({
  namespace,
  id,
  from,
}: {
  namespace: string;
  id: string;
  from: string | undefined;
}) {
  const query = useQuery(GetInputSchema, { id }, namespace);
  const earlier = useQuery(GetPayloads, from ? { id: from } : null, namespace);
  const answer = query.data?.backgroundTasks?.getDefinition;
  const definition = answer?.data;
  useEffect(() => {
    document.title = `Start a run of ${definition?.title ?? id} · Podrelay`;
  }, [definition, id]);
  const problem = query.problem ?? (answer?.error ? problemOf(answer.error) : undefined);
  const earlierRun = earlier.data?.backgroundTasks?.getTask;
  const isReady = definition && (!from || earlier.data || earlier.problem);
  return (
    <div className="page">
      <header className="run-head">
        <nav className="crumbs" aria-label="Where this is">
          <Link to={namespacePath('/definitions', namespace)}>Definitions</Link>
          <Link to={definitionPath(namespace, id)}>{plain(definition?.title ?? id, 100)}</Link>
        </nav>
        <h1>Start a run</h1>
      </header>
      {problem ? <ProblemNotice problem={problem} what="this definition" onRetry={query.refetch} /> : null}
      {answer && !definition && !problem ? <Empty title="There is no such definition" /> : null}
      {from && earlier.data && !earlierRun?.data ? (
        <Notice tone="warn" title={`The input of ${plain(from, 100)} cannot be read`}>
          {earlierRun?.error?.message ?? 'The run does not exist any longer.'}
        </Notice>
      ) : null}
      {isReady ? (
        <TriggerForm
          namespace={namespace}
          definition={nameOf(definition.id)}
          description={definition.description}
          isSuspended={definition.suspended}
          schema={definition.inputSchema}
          first={isObject(earlierRun?.data?.input) ? earlierRun.data.input : {}}
          from={from}
        />
      ) : null}
    </div>
  );
}

interface FormProps {
  namespace: string;
  definition: string;
  description: string | null;
  isSuspended: boolean;
  schema: Json;
  first: JsonObject;
  from: string | undefined;
}

function TriggerForm({ namespace, definition, description, isSuspended, schema, first, from }: FormProps) {
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const address = useAddress();
  const isRaw = !fields || address.search.get('as') === 'json';
  const [input, setInput] = useState<JsonObject>(first);
  const [raw, setRaw] = useState(() => JSON.stringify(first, null, 2));
  const [syntax, setSyntax] = useState('');
  const [name, setName] = useState('');
  const [startAt, setStartAt] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState('');
  const [isTouched, setIsTouched] = useState(from !== undefined);
  // One key for each form: a click that is sent twice starts one run.
  const [key] = useState(() => crypto.randomUUID?.() ?? String(Math.random()));
  const { missing } = useRights();
  const check = useCheck(namespace, definition, input);
  const messages = isTouched ? check.messages : {};
  const others = Object.entries(messages).filter(
    ([path]) => isRaw || !fields?.some((one) => path.split('.')[0] === one.name),
  );

  function change(value: JsonObject): void {
    setIsTouched(true);
    setInput(value);
    setRaw(JSON.stringify(value, null, 2));
    setSyntax('');
  }

  function changeRaw(text: string): void {
    setIsTouched(true);
    setRaw(text);
    try {
      const value: unknown = JSON.parse(text.trim() || '{}');
      if (!isObject(value)) throw new Error('the input must be an object, such as {"rows": 3}');
      setInput(value);
      setSyntax('');
    } catch (error) {
      setSyntax(`Not valid JSON: ${(error as Error).message}`);
    }
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setIsTouched(true);
    setFailure('');
    if (syntax) return;
    setIsBusy(true);
    try {
      const variables = {
        definition,
        input,
        name: name.trim() || null,
        startAt: startAt ? new Date(startAt).toISOString() : null,
        idempotencyKey: key,
      };
      const started = dataOf((await send(TriggerRun, variables, namespace)).backgroundTasks?.triggerTask);
      say(`Started ${nameOf(started.id)}.`);
      navigate(runPath(started.namespace, nameOf(started.id)));
    } catch (thrown) {
      const problem = problemOfThrown(thrown);
      setFailure('message' in problem ? problem.message : 'Your token is no longer accepted.');
      setIsBusy(false);
    }
  }

  return (
    <form className="trigger" onSubmit={(event) => void submit(event)} noValidate>
      <section className="panel">
        <div className="panel-tools">
          <h2>Input</h2>
          {fields ? (
            <div className="segments">
              <button
                type="button"
                aria-pressed={!isRaw}
                onClick={() => navigate(withSearch(address, { as: null }), 'replace')}
              >
                Form
              </button>
              <button
                type="button"
                aria-pressed={isRaw}
                onClick={() => navigate(withSearch(address, { as: 'json' }), 'replace')}
              >
                JSON
              </button>
            </div>
          ) : (
            <span className="help">It has no schema: any JSON object is accepted.</span>
          )}
          {from ? <span className="help">Filled from {plain(from, 100)}</span> : null}
        </div>
        {isRaw ? (
          <div className="trigger-raw">
            <Suspense fallback={null}>
              <JsonEditor text={raw} onChange={changeRaw} />
            </Suspense>
          </div>
        ) : (
          <div className="trigger-fields">
            <SchemaForm fields={fields} value={input} messages={messages} onChange={change} />
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
          {syntax}
        </p>
      </section>
      <section className="panel value trigger-side">
        {description ? <p className="lead">{plain(description)}</p> : null}
        {isSuspended ? (
          <Notice tone="warn" title="The definition is suspended">
            The run waits until it is resumed.
          </Notice>
        ) : null}
        <div className="field">
          <label htmlFor="run-name">Name</label>
          <input
            id="run-name"
            aria-describedby="run-name-help"
            value={name}
            maxLength={200}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
          />
          <span className="help" id="run-name-help">
            Shown in lists. Without one, it is the title of the definition.
          </span>
        </div>
        <div className="field">
          <label htmlFor="run-start">Start</label>
          <input
            id="run-start"
            aria-describedby="run-start-help"
            type="datetime-local"
            value={startAt}
            onChange={(event) => setStartAt(event.target.value)}
          />
          <span className="help" id="run-start-help">
            Not before this time, in the time zone of this browser. Empty: at once.
          </span>
        </div>
        <p className="help" role="status">
          {check.problem ||
            (isTouched && check.isKnown && Object.keys(check.messages).length === 0 ? 'The input is valid.' : '')}
        </p>
        <p className="field-problem" role="alert">
          {failure}
        </p>
        <Button look="main" type="submit" disabled={isBusy} disabledBecause={missing('trigger')}>
          {isBusy ? 'Starting…' : 'Start the run'}
        </Button>
      </section>
    </form>
  );
}

interface Check {
  isKnown: boolean;
  messages: Record<string, string>;
  problem: string;
}

/** Has the gateway check the input after each pause in typing, with the rules that it starts runs by. */
function useCheck(namespace: string, definition: string, input: JsonObject): Check {
  const [check, setCheck] = useState<Check>({ isKnown: false, messages: {}, problem: '' });
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      send(ValidateInput, { definition, input }, namespace, controller.signal).then(
        (data) => {
          const answer = data.backgroundTasks?.validateInput;
          const messages = messagesOf(answer?.data?.invalidFields);
          setCheck({ isKnown: true, messages, problem: answer?.error?.message ?? answer?.data?.problem ?? '' });
        },
        () => {
          if (!controller.signal.aborted) setCheck({ isKnown: false, messages: {}, problem: '' });
        },
      );
    }, TYPING_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [namespace, definition, input]);
  return check;
}
