import { type FormEvent, useEffect, useMemo, useState } from 'react';
import { send } from '../api/http';
import { useIdempotencyKey } from '../api/idempotency';
import { dataOf, problemIn, wordsOf } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { DetailPage } from '../components/DetailPage';
import { InputField } from '../components/Field';
import { Empty, Notice, ProblemNotice } from '../components/Notice';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { isObject, type Json, type JsonObject } from '../json/json';
import { Link, navigate, useAddress, withSearch } from '../routing/location';
import { definitionPath, nameOf, namespacePath, runPath } from '../routing/paths';
import { GetPayloads } from '../run/documents';
import { useRights } from '../shell/rights';
import { GetInputSchema, TriggerRun, ValidateInput } from './documents';
import { FormOrJson, JsonFields } from './JsonFields';
import { fieldsOf, messagesOf } from './schema-form';
import { useJsonForm } from './use-json-form';

const TYPING_MS = 350;

/** Starts a run of a definition, with a form or with JSON; filled from an earlier run if `from` names one. */
export function TriggerPage({ namespace, id, from }: { namespace: string; id: string; from: string | undefined }) {
  const query = useQuery(GetInputSchema, { id }, namespace);
  const earlier = useQuery(GetPayloads, from ? { id: from } : null, namespace);
  const answer = query.data?.backgroundTasks?.getDefinition;
  const definition = answer?.data;
  const problem = problemIn(query, answer);
  const earlierRun = earlier.data?.backgroundTasks?.getTask;
  const isReady = definition && (!from || earlier.data || earlier.problem);
  return (
    <DetailPage
      crumbs={
        <>
          <Link to={namespacePath('/definitions', namespace)}>Definitions</Link>
          <Link to={definitionPath(namespace, id)}>{plain(definition?.title ?? id, 100)}</Link>
        </>
      }
      title="Start a run"
      tabTitle={`Start a run of ${definition?.title ?? id}`}
    >
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
    </DetailPage>
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
  const [isTouched, setIsTouched] = useState(from !== undefined);
  const form = useJsonForm(first, 'the input', () => setIsTouched(true));
  const [name, setName] = useState('');
  const [startAt, setStartAt] = useState('');
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState('');
  const key = useIdempotencyKey();
  const { missing } = useRights();
  const check = useCheck(namespace, definition, form.value);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setIsTouched(true);
    setFailure('');
    if (form.syntax) return;
    setIsBusy(true);
    try {
      const variables = {
        definition,
        input: form.value,
        name: name.trim() || null,
        startAt: startAt ? new Date(startAt).toISOString() : null,
        idempotencyKey: key,
      };
      const started = dataOf((await send(TriggerRun, variables, namespace)).backgroundTasks?.triggerTask);
      say(`Started ${nameOf(started.id)}.`);
      navigate(runPath(started.namespace, nameOf(started.id)));
    } catch (thrown) {
      setFailure(wordsOf(thrown));
      setIsBusy(false);
    }
  }

  return (
    <form className="trigger" onSubmit={(event) => void submit(event)} noValidate>
      <section className="panel">
        <div className="panel-tools">
          <h2>Input</h2>
          {fields ? (
            <FormOrJson
              isRaw={isRaw}
              onChange={(raw) => navigate(withSearch(address, { as: raw ? 'json' : null }), 'replace')}
            />
          ) : (
            <span className="help">It has no schema: any JSON object is accepted.</span>
          )}
          {from ? <span className="help">Filled from {plain(from, 100)}</span> : null}
        </div>
        <JsonFields
          form={form}
          fields={fields}
          isRaw={isRaw}
          messages={isTouched ? check.messages : {}}
          label="Input as JSON"
        />
      </section>
      <section className="panel value trigger-side">
        {description ? <p className="lead">{plain(description)}</p> : null}
        {isSuspended ? (
          <Notice tone="warn" title="The definition is suspended">
            The run waits until it is resumed.
          </Notice>
        ) : null}
        <InputField
          title="Name"
          help="Shown in lists. Without one, it is the title of the definition."
          value={name}
          maxLength={200}
          onChange={setName}
        />
        <InputField
          title="Start"
          help="Not before this time, in the time zone of this browser. Empty: at once."
          type="datetime-local"
          value={startAt}
          onChange={setStartAt}
        />
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
