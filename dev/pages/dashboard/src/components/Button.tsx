import type { ButtonHTMLAttributes, ReactNode } from 'react';

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'plain' | 'main' | 'danger' | 'bare';
  /** Why it cannot be used. It stays focusable, so that the reason can be read. */
  disabledBecause?: string | undefined;
  children: ReactNode;
}

export function Button({ look = 'plain', disabledBecause, children, className, onClick, title, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      className={`button button-${look} ${className ?? ''}`}
      title={disabledBecause ?? title}
      aria-disabled={disabledBecause ? true : undefined}
      onClick={disabledBecause ? undefined : onClick}
    >
      {children}
    </button>
  );
}

interface IconProps extends Omit<Props, 'children' | 'aria-label'> {
  label: string;
  children: ReactNode;
}

/** A button with a sign only; its label is read out and shown as its tooltip. */
export function IconButton({ label, children, ...rest }: IconProps) {
  return (
    <Button look="bare" title={label} {...rest} aria-label={label} className={`icon-button ${rest.className ?? ''}`}>
      {children}
    </Button>
  );
}
