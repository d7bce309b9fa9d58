import { useState } from 'react';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { useRights } from '../shell/rights';
import { count } from '../time/format';
import { BulkDialog } from './BulkDialog';
import type { BulkAct, Chosen } from './bulk';
import { CountRuns } from './documents';
import { type Filters, numberOfFilters, toVariables } from './filters';

interface Props {
  selected: ReadonlySet<string>;
  filters: Filters;
  namespace: string;
  onClear: () => void;
}

/** What can be done with the selected runs, or with all that the list has. */
export function BulkBar({ selected, filters, namespace, onClear }: Props) {
  const [isAll, setIsAll] = useState(false);
  const [act, setAct] = useState<BulkAct>();
  const [variables] = useState(() => toVariables(filters, Date.now()));
  const { where, search } = variables;
  const counted = useQuery(CountRuns, { where: where ?? null, search: search ?? null }, namespace);
  const total = counted.data?.backgroundTasks?.listTasks.meta?.totalCount;
  const { missing } = useRights();
  const chosen: Chosen = isAll ? { where, search } : { ids: [...selected] };
  const number = isAll ? (total ?? 0) : selected.size;
  return (
    <div className="bulk" role="toolbar" aria-label="Selected runs">
      <span className="bulk-count">
        {isAll ? (
          <>
            All <strong className="number">{count(number)}</strong> {numberOfFilters(filters) ? 'that match' : 'runs'}
          </>
        ) : (
          <>
            <strong className="number">{count(number)}</strong> selected
          </>
        )}
      </span>
      {!isAll && total !== undefined && total > selected.size ? (
        <Button look="bare" onClick={() => setIsAll(true)}>
          Select all {count(total)}
        </Button>
      ) : null}
      <Button onClick={() => setAct('rerun')} disabledBecause={missing('trigger')}>
        Rerun
      </Button>
      <Button onClick={() => setAct('suspend')} disabledBecause={missing('change')}>
        Suspend
      </Button>
      <Button onClick={() => setAct('resume')} disabledBecause={missing('change')}>
        Resume
      </Button>
      <Button look="danger" onClick={() => setAct('abort')} disabledBecause={missing('change')}>
        Abort
      </Button>
      <Button look="danger" onClick={() => setAct('delete')} disabledBecause={missing('delete')}>
        Delete
      </Button>
      <Button look="bare" onClick={onClear}>
        Clear selection
      </Button>
      {act ? (
        <BulkDialog
          act={act}
          chosen={chosen}
          total={number}
          namespace={namespace}
          onClose={(isDone) => {
            setAct(undefined);
            if (isDone) onClear();
          }}
        />
      ) : null}
    </div>
  );
}
