import { useQuery } from '../api/use-query';
import { FailedSign } from '../components/icons';
import { Markdown } from '../components/Markdown';
import { plain } from '../components/text';
import { Ansi } from '../logs/Ansi';
import { Link } from '../routing/location';
import { nameOf, runPath } from '../routing/paths';
import { causeOf, failedAttempt, lastLines } from './attempts';
import { type Attempt, GetAttemptData, type RunDetail } from './documents';

const LINES = 12;
const NEWEST = 3;

/** Why a run failed: the attempt, its cause, and the last lines that it printed. It comes before everything else. */
export function FailureCard({ run, history }: { run: RunDetail; history: readonly Attempt[] | undefined }) {
  const attempt = failedAttempt(history ?? []);
  const data = useQuery(GetAttemptData, { id: nameOf(run.id), limit: NEWEST }, run.namespace, run.version);
  const details = data.data?.backgroundTasks?.getTask?.data?.history?.find((one) => one.id === attempt?.id);
  const cause = attempt ? causeOf(attempt) : (run.failure?.code ?? '');
  const leaf = run.failedLeaf;
  return (
    <section className="failure" aria-label="Why it failed">
      <div className="failure-head">
        <FailedSign />
        <h2>
          <bdi>{plain(run.failure?.message || run.message || run.reason || 'Failed', 1000)}</bdi>
        </h2>
      </div>
      <p className="failure-facts">
        {attempt ? (
          <>
            Iteration <span className="number">{attempt.iteration}</span>, attempt{' '}
            <span className="number">{attempt.attempt}</span>
            {attempt.nodeName ? <> on node {plain(attempt.nodeName, 100)}</> : null}
          </>
        ) : (
          run.reason
        )}
        {cause ? (
          <>
            {' · '}
            <code>{plain(cause, 200)}</code>
          </>
        ) : null}
        {attempt ? (
          <>
            {' · '}
            <Link to={runPath(run.namespace, nameOf(run.id), { tab: 'logs', iteration: String(attempt.iteration) })}>
              Its logs
            </Link>
          </>
        ) : null}
      </p>
      {leaf ? (
        <p className="failure-leaf">
          It began in{' '}
          <Link to={runPath(leaf.namespace, nameOf(leaf.id))}>
            <bdi>{plain(leaf.name ?? nameOf(leaf.id), 100)}</bdi>
          </Link>
          {leaf.message ? <>: {plain(leaf.message, 500)}</> : null}
        </p>
      ) : null}
      {details?.console?.text ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard.
        <pre className="failure-lines" tabIndex={0}>
          <Ansi text={lastLines(details.console.text, LINES)} />
        </pre>
      ) : null}
      {run.diagnosis?.advice && run.reason !== 'TaskFailed' ? (
        <p className="failure-advice">
          <Markdown text={`${capital(run.diagnosis.meaning)}. ${capital(run.diagnosis.advice)}.`} />
        </p>
      ) : null}
    </section>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
