import { useEffect, useMemo, useRef, useState } from 'react';
import { Button } from '../components/Button';
import { Empty, ProblemNotice } from '../components/Notice';
import { join, navigate, useAddress } from '../routing/location';
import { count } from '../time/format';
import { ColumnPicker } from './ColumnPicker';
import { FilterBar } from './FilterBar';
import { type Filters, fromSearch, NO_FILTERS, numberOfFilters, toSearch } from './filters';
import { marked } from './live-list';
import { RunTable } from './RunTable';
import { useRunList } from './use-run-list';

/** The list of runs. */
export function RunsPage({ namespace }: { namespace: string }) {
  const address = useAddress();
  const filters = useMemo(() => fromSearch(address.search), [address]);
  const scroller = useRef<HTMLDivElement>(null);
  const [isPointing, setIsPointing] = useState(false);
  const isAtTop = () => (scroller.current?.scrollTop ?? 0) < 4 && !isPointing;
  const { list, problem, isLoading, loadMore, showWaiting, reload } = useRunList(filters, namespace, isAtTop);
  useEffect(() => {
    document.title = 'Runs · Podrelay';
  }, []);

  function change(values: Partial<Filters>, how: 'push' | 'replace' = 'push'): void {
    const next = { ...filters, ...values };
    const search = toSearch(next, address.search);
    if (!search.has('namespace')) search.set('namespace', namespace);
    navigate(join('/runs', search), how);
  }

  const gone = marked(list);
  return (
    <div className="page page-fixed">
      <header className="page-head">
        <h1>Runs</h1>
        <div className="page-actions">
          <ColumnPicker columns={filters.columns} onChange={(columns) => change({ columns })} />
        </div>
      </header>
      <FilterBar filters={filters} namespace={namespace} onChange={change} />
      {problem ? <ProblemNotice problem={problem} what="the list of runs" onRetry={reload} /> : null}
      <div className="list">
        {list.waiting.length || gone ? (
          <div className="list-news" role="status">
            <Button
              look="main"
              onClick={() => {
                showWaiting();
                scroller.current?.scrollTo({ top: 0 });
              }}
            >
              {[list.waiting.length ? `${count(list.waiting.length)} new` : '', gone ? `${count(gone)} gone` : '']
                .filter(Boolean)
                .join(', ')}
            </Button>
          </div>
        ) : null}
        <RunTable
          list={list}
          filters={filters}
          namespace={namespace}
          scroller={scroller}
          isLoading={isLoading}
          onNearEnd={loadMore}
          onPoint={setIsPointing}
          onSort={(sort) => change({ sort })}
          empty={
            numberOfFilters(filters) ? (
              <Empty title="No run matches the filters">
                <Button onClick={() => change({ ...NO_FILTERS, sort: filters.sort, columns: filters.columns })}>
                  Clear filters
                </Button>
              </Empty>
            ) : (
              <Empty title="No runs yet">Start one from its definition, or with kubectl; it appears here at once.</Empty>
            )
          }
        />
      </div>
    </div>
  );
}
