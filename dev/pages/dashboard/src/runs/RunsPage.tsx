import { useCallback, useMemo, useRef, useState } from 'react';
import { Button } from '../components/Button';
import { Empty, Notice, ProblemNotice } from '../components/Notice';
import { useTitle } from '../components/use-title';
import { join, navigate, useAddress } from '../routing/location';
import { ALL_NAMESPACES, namespacePath, triggerPath } from '../routing/paths';
import { useRights } from '../shell/rights';
import { count } from '../time/format';
import { BulkBar } from './BulkBar';
import { ColumnPicker } from './ColumnPicker';
import { FilterBar } from './FilterBar';
import { type Filters, fromSearch, NO_FILTERS, numberOfFilters, toSearch } from './filters';
import { marked } from './live-list';
import { RunTable } from './RunTable';
import { useRunList } from './use-run-list';

const NONE: ReadonlySet<string> = new Set();

/** The list of runs. */
export function RunsPage({ namespace }: { namespace: string }) {
  const address = useAddress();
  const filters = useMemo(() => fromSearch(address.search), [address]);
  const scroller = useRef<HTMLDivElement>(null);
  const [isPointing, setIsPointing] = useState(false);
  const isAtTop = () => (scroller.current?.scrollTop ?? 0) < 4 && !isPointing;
  const { list, problem, isLoading, isStale, onShown, showWaiting, reload } = useRunList(filters, namespace, isAtTop);
  const [selected, setSelected] = useState<ReadonlySet<string>>(NONE);
  const { missing } = useRights();
  useTitle('Runs');
  const select = useCallback((id: string) => {
    setSelected((before) => new Set(before.has(id) ? [...before].filter((other) => other !== id) : [...before, id]));
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
          <Button
            look="main"
            disabledBecause={missing('trigger')}
            onClick={() =>
              navigate(
                filters.definition && namespace !== ALL_NAMESPACES
                  ? triggerPath(namespace, filters.definition)
                  : namespacePath('/definitions', namespace),
              )
            }
          >
            Start a run
          </Button>
        </div>
      </header>
      <FilterBar filters={filters} namespace={namespace} onChange={change} />
      {problem ? <ProblemNotice problem={problem} what="the list of runs" onRetry={reload} /> : null}
      {isStale ? (
        <Notice tone="warn" title="The gateway receives no changes at the moment">
          The list is right again by itself as soon as it does.
        </Notice>
      ) : null}
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
          onShown={onShown}
          onPoint={setIsPointing}
          onSort={(sort) => change({ sort })}
          selected={selected}
          onSelect={select}
          empty={
            numberOfFilters(filters) ? (
              <Empty title="No run matches the filters">
                <Button onClick={() => change({ ...NO_FILTERS, sort: filters.sort, columns: filters.columns })}>
                  Clear filters
                </Button>
              </Empty>
            ) : (
              <Empty title="No runs yet">
                Start one from its definition, or with kubectl; it appears here at once.
              </Empty>
            )
          }
        />
      </div>
      {selected.size ? (
        <BulkBar
          key={JSON.stringify(toSearch(filters, new URLSearchParams()).toString())}
          selected={selected}
          filters={filters}
          namespace={namespace}
          onClear={() => setSelected(NONE)}
        />
      ) : null}
    </div>
  );
}
