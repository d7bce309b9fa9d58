import { type FormEvent, useState } from 'react';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { ProblemNotice } from '../components/Notice';
import { DiffView } from '../json/DiffView';
import { JsonView } from '../json/JsonView';
import { navigate, useAddress, withSearch } from '../routing/location';
import { nameOf } from '../routing/paths';
import { GetPayloads, type RunDetail } from './documents';

/** Input and output of a run, and how they differ from those of another run. */
export function DataTab({ run }: { run: RunDetail }) {
  const name = nameOf(run.id);
  const address = useAddress();
  const other = address.search.get('with') ?? run.rerunOf?.split('/').at(-1) ?? '';
  const own = useQuery(GetPayloads, { id: name }, run.namespace, run.finishedOn ?? run.iterations);
  const others = useQuery(GetPayloads, other ? { id: other } : null, run.namespace);
  const [typed, setTyped] = useState(other);
  const data = own.data?.backgroundTasks?.getTask?.data;
  const compared = others.data?.backgroundTasks?.getTask?.data;
  if (own.problem && !data) return <ProblemNotice problem={own.problem} what="the data" onRetry={own.refetch} />;
  if (!data) return null;

  function compare(event: FormEvent): void {
    event.preventDefault();
    navigate(withSearch(address, { with: typed.trim() || null }));
  }

  return (
    <div className="data">
      <section className="panel value">
        <h2>Input</h2>
        <JsonView value={data.input ?? {}} name={`${name}-input`} />
      </section>
      <section className="panel value">
        <h2>Output</h2>
        {data.output === null ? (
          <p className="help">{run.finishedOn ? 'It has no output.' : 'There is no output yet.'}</p>
        ) : (
          <JsonView value={data.output} name={`${name}-output`} />
        )}
      </section>
      <section className="panel value data-compare">
        <h2>Compare with another run</h2>
        <form className="compare-form" onSubmit={compare}>
          <label>
            <span className="hidden">Name of the other run</span>
            <input
              value={typed}
              placeholder="Name of a run"
              spellCheck={false}
              autoComplete="off"
              onChange={(event) => setTyped(event.target.value)}
            />
          </label>
          <Button type="submit">Compare</Button>
        </form>
        {other && others.data && !compared ? <p className="field-problem">There is no run {other}.</p> : null}
        {compared ? (
          <>
            <h3>Input: from {other} to this run</h3>
            <DiffView before={compared.input ?? {}} after={data.input ?? {}} />
            <h3>Output: from {other} to this run</h3>
            <DiffView before={compared.output} after={data.output} />
          </>
        ) : null}
      </section>
    </div>
  );
}
