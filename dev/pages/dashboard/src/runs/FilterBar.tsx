import { useEffect, useId, useRef, useState } from 'react';
import { useQuery } from '../api/use-query';
import { Button } from '../components/Button';
import { CloseSign, SearchSign } from '../components/icons';
import { lookOf } from '../components/Status';
import { plain } from '../components/text';
import { ListDefinitionNames } from '../definitions/documents';
import { useKeys } from '../shell/keys';
import { absolute, parsed } from '../time/format';
import { type Filters, NO_FILTERS, numberOfFilters, PHASES, RANGES } from './filters';

const TYPING_MS = 250;

interface Props {
  filters: Filters;
  namespace: string;
  onChange: (values: Partial<Filters>, how?: 'push' | 'replace') => void;
}

/** The filters of the list. Each change is at once in the address. */
export function FilterBar({ filters, namespace, onChange }: Props) {
  const id = useId();
  return (
    <search className="filters">
      <Search value={filters.search} onChange={(search) => onChange({ search }, 'replace')} />
      <fieldset className="phases">
        <legend className="hidden">Status</legend>
        {PHASES.map((phase) => {
          const isOn = filters.phases.includes(phase);
          const { Sign, tone } = lookOf({ phase, reason: null, suspended: false });
          return (
            <button
              key={phase}
              type="button"
              className={`phase tone-${tone}`}
              aria-pressed={isOn}
              onClick={() =>
                onChange({
                  phases: PHASES.filter((other) => (other === phase ? !isOn : filters.phases.includes(other))),
                })
              }
            >
              <Sign />
              {phase}
            </button>
          );
        })}
      </fieldset>
      <DefinitionFilter
        id={`${id}-definition`}
        value={filters.definition}
        namespace={namespace}
        onChange={(definition) => onChange({ definition })}
      />
      <label className="filter" htmlFor={`${id}-range`}>
        <span>Created</span>
        <select
          id={`${id}-range`}
          value={Object.hasOwn(RANGES, filters.from) || !filters.from ? filters.from : 'between'}
          onChange={(event) => {
            const value = event.target.value;
            if (value === 'between') onChange({ from: new Date(Date.now() - 3_600_000).toISOString() });
            else onChange({ from: value, to: '' });
          }}
        >
          <option value="">at any time</option>
          {Object.entries(RANGES).map(([range, { title }]) => (
            <option key={range} value={range}>
              {title}
            </option>
          ))}
          <option value="between">between …</option>
        </select>
      </label>
      {filters.to || (filters.from && !Object.hasOwn(RANGES, filters.from)) ? (
        <>
          <Moment title="from" value={filters.from} onChange={(from) => onChange({ from })} />
          <Moment title="to" value={filters.to} onChange={(to) => onChange({ to })} />
        </>
      ) : null}
      <label className="check filter-check">
        <input
          type="checkbox"
          checked={filters.rootsOnly}
          onChange={(event) => onChange({ rootsOnly: event.target.checked })}
        />
        <span>Top level only</span>
      </label>
      {filters.reason ? <Chip title="Reason" value={filters.reason} onRemove={() => onChange({ reason: '' })} /> : null}
      {filters.createdBy ? (
        <Chip title="Created by" value={filters.createdBy} onRemove={() => onChange({ createdBy: '' })} />
      ) : null}
      {filters.schedule ? (
        <Chip title="Schedule" value={filters.schedule} onRemove={() => onChange({ schedule: '' })} />
      ) : null}
      {numberOfFilters(filters) ? (
        <Button look="bare" onClick={() => onChange({ ...NO_FILTERS, sort: filters.sort, columns: filters.columns })}>
          Clear filters
        </Button>
      ) : null}
    </search>
  );
}

/** The search field; `/` moves to it. What is typed is searched for after a short pause. */
function Search({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  const [text, setText] = useState(value);
  const field = useRef<HTMLInputElement>(null);
  const sent = useRef(value);
  useKeys({ '/': () => field.current?.select() });
  useEffect(() => {
    // The address has changed by other means than this field: Back, or Clear filters.
    if (value !== sent.current) setText(value);
    sent.current = value;
  }, [value]);
  useEffect(() => {
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      onChange(text);
    }, TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, onChange]);
  return (
    <label className="search">
      <SearchSign />
      <span className="hidden">Search names</span>
      <input
        ref={field}
        type="search"
        placeholder="Search names"
        maxLength={1000}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') field.current?.blur();
        }}
      />
      <span className="key-hint" aria-hidden="true">
        /
      </span>
    </label>
  );
}

interface DefinitionProps {
  id: string;
  value: string;
  namespace: string;
  onChange: (definition: string) => void;
}

function DefinitionFilter({ id, value, namespace, onChange }: DefinitionProps) {
  const { data } = useQuery(ListDefinitionNames, {}, namespace);
  const definitions = data?.backgroundTasks?.listDefinitions?.data ?? [];
  const ids = [...new Set(definitions.map((definition) => definition.id))];
  if (value && !ids.includes(value)) ids.push(value);
  return (
    <label className="filter" htmlFor={id}>
      <span>Definition</span>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">all</option>
        {ids.map((one) => (
          <option key={one} value={one}>
            {plain(definitions.find((definition) => definition.id === one)?.title ?? one, 60)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A moment: entered in the zone of the browser, in UTC in the address, so that a link means the same everywhere. */
function Moment({ title, value, onChange }: { title: string; value: string; onChange: (value: string) => void }) {
  const id = useId();
  const ms = parsed(value);
  return (
    <label className="filter" htmlFor={id}>
      <span>{title}</span>
      <input
        id={id}
        type="datetime-local"
        value={ms === undefined ? '' : absolute(ms, 'local').slice(0, 16).replace(' ', 'T')}
        onChange={(event) => onChange(event.target.value ? new Date(event.target.value).toISOString() : '')}
      />
    </label>
  );
}

function Chip({ title, value, onRemove }: { title: string; value: string; onRemove: () => void }) {
  return (
    <span className="chip">
      {title}: <strong>{plain(value, 60)}</strong>
      <button type="button" aria-label={`Remove the filter ${title}`} onClick={onRemove}>
        <CloseSign size={12} />
      </button>
    </span>
  );
}
