import type { Problem } from '../api/problems';
import { Empty, ProblemNotice } from '../components/Notice';
import { ScrollTable } from '../components/ScrollTable';
import { plain } from '../components/text';
import { navigate, useAddress, withSearch } from '../routing/location';
import { Elapsed, Time } from '../time/Time';
import { AttemptPanel } from './AttemptPanel';
import { answerLook, causeOf } from './attempts';
import type { Attempt, RunDetail, TimelineChild } from './documents';
import { TimelineChart } from './Timeline';

interface Props {
  run: RunDetail;
  history: readonly Attempt[] | undefined;
  childRuns: readonly TimelineChild[];
  problem: Problem | undefined;
}

/** The history of a run, as bars or as a table, and the attempt that is selected. */
export function TimelineTab({ run, history, childRuns, problem }: Props) {
  const address = useAddress();
  const isTable = address.search.get('as') === 'table';
  const selected = address.search.get('attempt') ?? undefined;
  const attempt = history?.find((one) => one.id === selected);
  function select(id: string): void {
    navigate(withSearch(address, { attempt: id === selected ? null : id }));
  }
  if (problem && !history) return <ProblemNotice problem={problem} what="the timeline" />;
  if (!history) return null;
  return (
    <>
      <div className="panel">
        <div className="panel-tools">
          <div className="segments">
            <button
              type="button"
              aria-pressed={!isTable}
              onClick={() => navigate(withSearch(address, { as: null }), 'replace')}
            >
              Chart
            </button>
            <button
              type="button"
              aria-pressed={isTable}
              onClick={() => navigate(withSearch(address, { as: 'table' }), 'replace')}
            >
              Table
            </button>
          </div>
        </div>
        {isTable ? (
          <AttemptTable history={history} selected={selected} onSelect={select} />
        ) : (
          <TimelineChart run={run} history={history} childRuns={childRuns} selected={selected} onSelect={select} />
        )}
        {history.length === 0 && isTable ? <Empty title="No pod has been created yet" /> : null}
      </div>
      {attempt ? <AttemptPanel run={run} attempt={attempt} history={history} /> : null}
    </>
  );
}

interface TableProps {
  history: readonly Attempt[];
  selected: string | undefined;
  onSelect: (id: string) => void;
}

function AttemptTable({ history, selected, onSelect }: TableProps) {
  return (
    <ScrollTable
      label="Attempts"
      head={
        <>
          <th>Iteration</th>
          <th>Attempt</th>
          <th>Answer</th>
          <th>Started</th>
          <th>Took</th>
          <th>Node</th>
          <th>Pod</th>
          <th>Message</th>
        </>
      }
    >
      {history.map((attempt) => {
        const { word, tone, Sign } = answerLook(attempt);
        return (
          <tr key={attempt.id} className={attempt.id === selected ? 'row-active' : undefined}>
            <td className="number">{attempt.iteration || 'hooks'}</td>
            <td className="number">{attempt.attempt}</td>
            <td>
              <span className={`status tone-${tone}`}>
                <Sign />
                {word}
              </span>
            </td>
            <td>
              <Time at={attempt.startedOn ?? attempt.createdOn} />
            </td>
            <td>
              <Elapsed from={attempt.startedOn ?? attempt.createdOn} to={attempt.finishedOn} />
            </td>
            <td>{attempt.nodeName ? plain(attempt.nodeName, 60) : '–'}</td>
            <td>
              <button type="button" className="link mono" onClick={() => onSelect(attempt.id)}>
                {plain(attempt.podName, 80)}
              </button>
            </td>
            <td className="wide">
              {causeOf(attempt) ? <code>{plain(causeOf(attempt), 100)}</code> : null}{' '}
              <bdi>{plain(attempt.message ?? '', 200)}</bdi>
            </td>
          </tr>
        );
      })}
    </ScrollTable>
  );
}
