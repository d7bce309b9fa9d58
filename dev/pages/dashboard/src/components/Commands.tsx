import { Copy } from './Copy';

/** Commands that show or do the same in a terminal. */
export function Commands({ commands }: { commands: readonly string[] }) {
  return (
    <ul className="commands">
      {commands.map((command) => (
        <li key={command}>
          <code>{command}</code>
          <Copy text={() => command} what="the command" />
        </li>
      ))}
    </ul>
  );
}
