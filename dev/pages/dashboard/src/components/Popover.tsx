import { type ReactNode, useId, useRef } from 'react';

const GAP = 4;

/** A button that opens a layer next to it. The browser closes it by Escape and by a click elsewhere. */
export function Popover({ label, children }: { label: ReactNode; children: ReactNode }) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const layer = useRef<HTMLDivElement>(null);

  function place(): void {
    const anchor = button.current?.getBoundingClientRect();
    const element = layer.current;
    if (!anchor || !element) return;
    const width = element.offsetWidth;
    element.style.top = `${anchor.bottom + GAP}px`;
    element.style.left = `${Math.max(GAP * 2, Math.min(anchor.right - width, innerWidth - width - GAP * 2))}px`;
    element.style.maxHeight = `${innerHeight - anchor.bottom - GAP * 4}px`;
  }

  return (
    <>
      <button ref={button} type="button" className="button button-plain" popoverTarget={id}>
        {label}
      </button>
      <div
        ref={layer}
        id={id}
        popover="auto"
        className="menu"
        onToggle={(event) => {
          if (event.newState === 'open') place();
        }}
      >
        {children}
      </div>
    </>
  );
}
