import { type ReactNode, useId, useLayoutEffect, useRef } from 'react';
import { IconButton } from './Button';
import { CloseSign } from './icons';

interface Props {
  title: string;
  onClose?: () => void;
  children: ReactNode;
  isWide?: boolean;
}

/** A modal dialog. The browser keeps the focus inside, gives it back, and closes it by Escape. */
export function Dialog({ title, onClose, children, isWide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // As a layout effect, it is closed before it is removed, and gives the focus back.
  useLayoutEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    element?.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      className={isWide ? 'dialog dialog-wide' : 'dialog'}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <header className="dialog-head">
        <h2 id={heading}>{title}</h2>
        {onClose ? (
          <IconButton label="Close" onClick={onClose}>
            <CloseSign />
          </IconButton>
        ) : null}
      </header>
      {children}
    </dialog>
  );
}
