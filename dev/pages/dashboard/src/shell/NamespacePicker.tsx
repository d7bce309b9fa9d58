import { type FormEvent, useEffect, useId, useState } from 'react';
import { useStore } from '../api/store';
import { ALL_NAMESPACES } from '../routing/paths';
import { recentNamespaces } from './namespace';
import { useRights } from './rights';

/** Chooses the namespace: one of those in which the user may list runs, or another one by its name. */
export function NamespacePicker({ namespace, onPick }: { namespace: string; onPick: (name: string) => void }) {
  const [text, setText] = useState(shown(namespace));
  const recent = useStore(recentNamespaces);
  const { namespaces } = useRights();
  const names = [...new Set([...namespaces, ...recent.filter((name) => name !== ALL_NAMESPACES)])].sort();
  const id = useId();
  useEffect(() => setText(shown(namespace)), [namespace]);

  function pick(event: FormEvent): void {
    event.preventDefault();
    const name = text.trim();
    onPick(name === '' || name === shown(ALL_NAMESPACES) ? ALL_NAMESPACES : name);
  }

  return (
    <form className="namespace" onSubmit={pick}>
      <label htmlFor={id}>Namespace</label>
      <input
        id={id}
        list={`${id}-names`}
        value={text}
        spellCheck={false}
        autoComplete="off"
        onChange={(event) => setText(event.target.value)}
        onFocus={(event) => event.target.select()}
        onBlur={() => setText(shown(namespace))}
      />
      <datalist id={`${id}-names`}>
        {names.map((name) => (
          <option key={name} value={name} />
        ))}
        <option value={shown(ALL_NAMESPACES)} />
      </datalist>
    </form>
  );
}

function shown(name: string): string {
  return name === ALL_NAMESPACES ? 'all namespaces' : name;
}
