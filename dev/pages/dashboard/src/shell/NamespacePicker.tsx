import { type FormEvent, useId, useState } from 'react';
import { useStore } from '../api/store';
import { IconButton } from '../components/Button';
import { CloseSign } from '../components/icons';
import { plain } from '../components/text';
import { ALL_NAMESPACES } from '../routing/paths';
import { recentNamespaces } from './namespace';
import { useRights } from './rights';

const OTHER = '';

/** Chooses the namespace: one of those in which the user may list runs, or another one by its name. */
export function NamespacePicker({ namespace, onPick }: { namespace: string; onPick: (name: string) => void }) {
  const [typed, setTyped] = useState<string>();
  const recent = useStore(recentNamespaces);
  const { namespaces } = useRights();
  const id = useId();
  const names = [...new Set([...namespaces, ...recent, namespace])].filter((name) => name !== ALL_NAMESPACES).sort();

  function submit(event: FormEvent): void {
    event.preventDefault();
    const name = typed?.trim();
    setTyped(undefined);
    if (name) onPick(name);
  }

  return (
    <form className="namespace" onSubmit={submit}>
      <label htmlFor={id}>Namespace</label>
      {typed === undefined ? (
        <select
          id={id}
          value={namespace}
          onChange={({ target }) => (target.value === OTHER ? setTyped('') : onPick(target.value))}
        >
          {names.map((name) => (
            <option key={name} value={name}>
              {plain(name, 63)}
            </option>
          ))}
          <option value={ALL_NAMESPACES}>all namespaces</option>
          <option value={OTHER}>another one …</option>
        </select>
      ) : (
        <div className="namespace-typed">
          <input
            id={id}
            value={typed}
            placeholder="Name"
            spellCheck={false}
            autoComplete="off"
            // biome-ignore lint/a11y/noAutofocus: the user has just asked for this field.
            autoFocus
            onChange={(event) => setTyped(event.target.value)}
          />
          <IconButton label="Choose from the list" onClick={() => setTyped(undefined)}>
            <CloseSign />
          </IconButton>
        </div>
      )}
    </form>
  );
}
