import { type FormEvent, useEffect, useState } from 'react';
import { graphql } from '../api/graphql';
import { send } from '../api/http';
import { dataOf, problemIn, wordsOf } from '../api/problems';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { ListPage } from '../components/ListPage';
import { Notice } from '../components/Notice';
import { say } from '../components/toasts';
import { ALL_NAMESPACES } from '../routing/paths';
import { useRights } from '../shell/rights';

const GetSettings = graphql(`
  query GetSettings {
    backgroundTasks {
      getSettings { data { retentionDays } error { message code data } }
    }
  }
`);

const UpdateSettings = graphql(`
  mutation UpdateSettings($days: Int) {
    backgroundTasks {
      updateSettings(input: { retentionDays: $days }) { data { retentionDays } error { message code data } }
    }
  }
`);

/** The settings of a namespace. */
export function SettingsPage({ namespace }: { namespace: string }) {
  const query = useQuery(GetSettings, namespace === ALL_NAMESPACES ? null : {}, namespace);
  const answer = query.data?.backgroundTasks?.getSettings;
  const [days, setDays] = useState('');
  const [said, setSaid] = useState('');
  const { missing } = useRights();
  useEffect(() => {
    if (answer?.data) setDays(String(answer.data.retentionDays ?? ''));
  }, [answer]);

  async function save(value: number | null): Promise<void> {
    setSaid('');
    try {
      dataOf((await send(UpdateSettings, { days: value }, namespace)).backgroundTasks?.updateSettings);
      say('The settings are saved.');
      query.refetch();
    } catch (thrown) {
      setSaid(wordsOf(thrown));
    }
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    void save(days.trim() === '' ? null : Number(days));
  }

  return (
    <ListPage title="Settings" problem={problemIn(query, answer)} what="the settings" onRetry={query.refetch}>
      {namespace === ALL_NAMESPACES ? (
        <Notice tone="info" title="Choose a namespace">
          Each namespace has settings of its own.
        </Notice>
      ) : null}
      {answer?.data ? (
        <form className="panel value settings" onSubmit={submit}>
          <label className="field" htmlFor="retention">
            <span>Finished runs are kept for this many days</span>
            <input
              id="retention"
              type="number"
              min={0}
              max={3650}
              step={1}
              value={days}
              onChange={(event) => setDays(event.target.value)}
              aria-describedby="retention-help"
            />
          </label>
          <p className="help" id="retention-help">
            From 0 to 3650; 0 means forever. It also applies to runs that have already finished. A run or a definition
            with a time of its own comes first.
          </p>
          <p className="field-problem" role="alert">
            {said}
          </p>
          <div className="page-actions">
            <Button look="main" type="submit" disabledBecause={missing('settings')}>
              Save
            </Button>
            <Button disabledBecause={missing('settings')} onClick={() => void save(null)}>
              Use the default of the operator
            </Button>
          </div>
        </form>
      ) : null}
    </ListPage>
  );
}
