import { useQuery } from '../api/use-query';
import { Facts } from '../components/Facts';
import { plain } from '../components/text';
import { DiffView } from '../json/DiffView';
import { JsonView } from '../json/JsonView';
import type { Json } from '../json/json';
import { Ansi } from '../logs/Ansi';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { Elapsed, Time } from '../time/Time';
import { answerLook, causeOf, lastLines } from './attempts';
import { type Attempt, GetAttemptData, type RunDetail } from './documents';

const LINES = 40;

/** Everything about one attempt: what it began with, what it did, and how it ended. */
export function AttemptPanel({
  run,
  attempt,
  history,
}: {
  run: RunDetail;
  attempt: Attempt;
  history: readonly Attempt[];
}) {
  const name = nameOf(run.id);
  // The newest come first: up to this one, and the one before it to compare with.
  const variables = { id: name, limit: history.findIndex((one) => one.id === attempt.id) + 2 };
  const { data } = useQuery(GetAttemptData, variables, run.namespace, attempt.finishedOn);
  const all = data?.backgroundTasks?.getTask?.data?.history;
  const details = all?.find((one) => one.id === attempt.id);
  const before = all?.[all.findIndex((one) => one.id === attempt.id) + 1];
  const { word, tone, Sign } = answerLook(attempt);
  const cause = causeOf(attempt);
  const values: [string, Json | null | undefined][] = [
    ['Input', details?.input],
    ['Checkpoint', details?.checkpoint],
    ['Handed on', details?.nextInput],
    ['Output', details?.output],
    ['Error', details?.error],
  ];
  return (
    <section className="panel attempt" aria-label="Selected attempt">
      <div className="attempt-head">
        <h2>
          {attempt.iteration
            ? `Iteration ${attempt.iteration}, attempt ${attempt.attempt}`
            : `Hook ${attempt.hook ?? ''}`}
        </h2>
        <span className={`status tone-${tone}`}>
          <Sign />
          {word}
        </span>
        <Link to={runPath(run.namespace, name, { tab: 'logs', iteration: String(attempt.iteration) })}>Its logs</Link>
      </div>
      {attempt.message ? <p className="why-text">{plain(attempt.message)}</p> : null}
      <Facts
        facts={{
          Cause: cause ? <code>{plain(cause, 200)}</code> : null,
          Pod: <span className="mono">{attempt.podName}</span>,
          Node: attempt.nodeName ? plain(attempt.nodeName, 100) : null,
          Started: attempt.startedOn ? <Time at={attempt.startedOn} /> : null,
          Took: attempt.startedOn ? <Elapsed from={attempt.startedOn} to={attempt.finishedOn} /> : null,
          'Pod is': attempt.pod ? [attempt.pod.phase, attempt.pod.reason].filter(Boolean).join(', ') : 'deleted',
          Restarts: attempt.pod?.restarts ? String(attempt.pod.restarts) : null,
        }}
      />
      <div className="attempt-values">
        {values.map(([title, value]) =>
          value === null || value === undefined ? null : (
            <div key={title} className="value">
              <h3>{title}</h3>
              <JsonView value={value} name={`${attempt.id}-${title.toLowerCase().replace(' ', '-')}`} />
            </div>
          ),
        )}
        {details?.input && before?.input ? (
          <div className="value">
            <h3>
              What changed in the input since iteration {before.iteration}
              {before.iteration === attempt.iteration ? `, attempt ${before.attempt}` : ''}
            </h3>
            <DiffView before={before.input} after={details.input} />
          </div>
        ) : null}
      </div>
      {details?.console?.text ? (
        <div className="value">
          <h3>The last lines that its pod printed</h3>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard. */}
          <pre className="failure-lines" tabIndex={0}>
            <Ansi text={lastLines(details.console.text, LINES)} />
          </pre>
        </div>
      ) : null}
    </section>
  );
}
