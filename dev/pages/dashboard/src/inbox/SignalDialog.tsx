import { type ReactNode, useMemo, useState } from 'react';
import { send } from '../api/http';
import { useIdempotencyKey } from '../api/idempotency';
import { dataOf, problemOfThrown } from '../api/problems';
import { useQuery } from '../api/use-query';
import { ConfirmDialog } from '../components/ConfirmDialog';
import { Field } from '../components/Field';
import { Notice } from '../components/Notice';
import { plain } from '../components/text';
import { say } from '../components/toasts';
import { isObject, type Json } from '../json/json';
import { nameOf } from '../routing/paths';
import { parsed } from '../time/format';
import { useNow } from '../time/now';
import { FormOrJson, JsonFields } from '../trigger/JsonFields';
import { fieldsOf, messagesOf } from '../trigger/schema-form';
import { useJsonForm } from '../trigger/use-json-form';
import { GetSignals, SendSignal, type Wait } from './documents';
import { SentSignals } from './SentSignals';
import type { Asked } from './WaitSignals';
import { sentSoFar } from './waits';

interface Props {
  asked: Asked;
  /** The run as it is now; it may no longer wait, or wait for something else. */
  current: Wait | undefined;
  onClose: () => void;
  onSent: () => void;
}

/** Answers what a run waits for: a decision with a comment, or a signal with a payload that its schema describes. */
export function SignalDialog({ asked, current, onClose, onSent }: Props) {
  const { wait, awaited } = asked;
  const id = nameOf(wait.id);
  const version = `${current?.message} ${current?.approvals.length}`;
  const query = useQuery(GetSignals, { id }, wait.namespace, version);
  const answer = query.data?.backgroundTasks?.getTask?.data;
  const schema = answer?.waitingFor?.awaited?.find(({ name }) => name === awaited.name)?.type?.payloadSchema ?? null;
  const [known, setKnown] = useState<{ schema: Json }>();
  // The form stays as it is when the wait has ended, and its schema can no longer be read.
  if (!known && (query.data || query.problem)) setKnown({ schema });
  const over = useOver(asked, current);
  return known ? (
    <AnswerForm asked={asked} schema={known.schema} over={over} onClose={onClose} onSent={onSent}>
      <SentSignals sent={sentSoFar(answer?.signals ?? [], awaited.name)} />
    </AnswerForm>
  ) : null;
}

/** Returns why an answer would come too late, if it would. */
function useOver({ wait, awaited }: Asked, current: Wait | undefined): string | undefined {
  const until = parsed(wait.waitingFor?.until);
  const now = useNow();
  if (until !== undefined && now >= until) return 'The time of this wait is over: an answer comes too late.';
  const isSame = current?.waitingFor?.awaited?.some(({ name }) => name === awaited.name);
  if (!isSame || current?.iterations !== wait.iterations) {
    return 'The run no longer waits for this: it was answered elsewhere, or has continued.';
  }
  return undefined;
}

interface FormProps {
  asked: Asked;
  schema: Json;
  over: string | undefined;
  onClose: () => void;
  onSent: () => void;
  children: ReactNode;
}

function AnswerForm({ asked, schema, over, onClose, onSent, children }: FormProps) {
  const { wait, awaited, decision } = asked;
  const fields = useMemo(() => fieldsOf(schema), [schema]);
  const [messages, setMessages] = useState<Record<string, string>>({});
  const form = useJsonForm({}, 'the payload', () => setMessages({}));
  const [isRaw, setIsRaw] = useState(false);
  const [comment, setComment] = useState('');
  const key = useIdempotencyKey();
  const id = nameOf(wait.id);
  const hasComment = decision !== null && schema === null;
  const words = WORDS[decision ?? 'SEND'];

  async function confirm(): Promise<void> {
    if (form.syntax) throw new Error(form.syntax);
    const isEmpty = schema === null && Object.keys(form.value).length === 0;
    const given = hasComment ? { comment: comment.trim() } : form.value;
    const payload = (hasComment && !comment.trim()) || (!hasComment && isEmpty) ? null : given;
    const variables = { id, signal: awaited.name, payload, decision, key };
    try {
      dataOf((await send(SendSignal, variables, wait.namespace)).backgroundTasks?.signalTask);
    } catch (thrown) {
      const problem = problemOfThrown(thrown);
      const data = problem.kind === 'refused' ? (problem.data as Json | undefined) : undefined;
      setMessages(messagesOf(isObject(data) ? data['invalidFields'] : undefined));
      throw thrown;
    }
    say(
      <>
        {words.said} <code>{awaited.name}</code> of {plain(wait.name ?? id, 100)}.
      </>,
    );
    onSent();
  }

  return (
    <ConfirmDialog
      title={`${words.title} ${awaited.name}`}
      action={words.action}
      isDangerous={decision === 'REJECT'}
      isWide={!hasComment}
      noValidate
      disabledBecause={over}
      onClose={onClose}
      onConfirm={confirm}
    >
      <p className="wait-of">
        <strong>
          <bdi>{plain(wait.name ?? id, 200)}</bdi>
        </strong>{' '}
        <span className="mono second">{id}</span>
      </p>
      {awaited.type?.description ? <p>{plain(awaited.type.description)}</p> : null}
      <p className="help">{consequence(asked)}</p>
      {children}
      {hasComment ? (
        <Field title="Comment" help="Shown to others who decide, and given to the run.">
          {(control) => (
            <textarea
              {...control}
              rows={3}
              maxLength={2000}
              value={comment}
              onChange={(event) => setComment(event.target.value)}
            />
          )}
        </Field>
      ) : (
        <section className="wait-payload" aria-label="Payload">
          <div className="panel-tools">
            <h3>Payload</h3>
            {fields ? (
              <FormOrJson isRaw={isRaw} onChange={setIsRaw} />
            ) : (
              <span className="help">It has no schema: any JSON object is accepted.</span>
            )}
          </div>
          <JsonFields form={form} fields={fields} isRaw={isRaw} messages={messages} label="Payload as JSON" />
        </section>
      )}
      {over ? <Notice tone="warn" title={over} /> : null}
    </ConfirmDialog>
  );
}

const WORDS = {
  APPROVE: { title: 'Approve', action: 'Approve', said: 'You have approved' },
  REJECT: { title: 'Reject', action: 'Reject', said: 'You have rejected' },
  SEND: { title: 'Send', action: 'Send the signal', said: 'Sent the signal' },
} as const;

/** Returns what follows from an answer. */
function consequence({ wait, awaited, decision }: Asked): string {
  if (decision === 'REJECT') return 'One rejection ends the wait at once. It cannot be taken back.';
  if (decision === 'APPROVE') {
    const required = awaited.type?.approval?.required ?? 1;
    return required === 1
      ? 'The run continues at once. It cannot be taken back.'
      : `The run continues when ${required} users have approved. It cannot be taken back.`;
  }
  const count = wait.waitingFor?.count ?? 1;
  return count > 1 ? `The run continues when ${count} signals have come.` : 'The run continues as soon as it has come.';
}
