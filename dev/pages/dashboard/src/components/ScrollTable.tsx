import type { ReactNode } from 'react';

interface Props {
  label: string;
  /** The cells of its head. */
  head: ReactNode;
  isPanel?: boolean;
  className?: string;
  children: ReactNode;
}

/** A table that scrolls sideways where it is wider than its place. */
export function ScrollTable({ label, head, isPanel = false, className = '', children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard.
    <section className={`${isPanel ? 'panel ' : ''}plain-table-scroll`} tabIndex={0} aria-label={label}>
      <table className={`plain-table ${className}`}>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
