import { ColumnsSign } from '../components/icons';
import { Popover } from '../components/Popover';
import { COLUMNS, type Column, DEFAULT_COLUMNS, FIXED_COLUMNS } from './filters';

const ALL = Object.keys(COLUMNS) as Column[];

/** Chooses the columns of the list. */
export function ColumnPicker({ columns, onChange }: { columns: Column[]; onChange: (columns: Column[]) => void }) {
  return (
    <Popover
      label={
        <>
          <ColumnsSign />
          Columns
        </>
      }
    >
      <fieldset>
        <legend className="hidden">Columns</legend>
        {ALL.filter((column) => !FIXED_COLUMNS.includes(column)).map((column) => (
          <label key={column} className="menu-item">
            <input
              type="checkbox"
              checked={columns.includes(column)}
              onChange={({ target }) =>
                onChange(ALL.filter((other) => (other === column ? target.checked : columns.includes(other))))
              }
            />
            {COLUMNS[column].title}
          </label>
        ))}
      </fieldset>
      <button type="button" className="menu-item" onClick={() => onChange([...DEFAULT_COLUMNS])}>
        Standard columns
      </button>
    </Popover>
  );
}
