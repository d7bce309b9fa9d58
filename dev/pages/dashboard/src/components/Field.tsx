import { type ComponentProps, type ReactNode, useId } from 'react';

interface FieldProps {
  title: string;
  help?: ReactNode;
  children: (control: { id: string; 'aria-describedby': string | undefined }) => ReactNode;
}

/** A control with its title, and a line that explains it. */
export function Field({ title, help, children }: FieldProps) {
  const id = useId();
  const helpId = help ? `${id}-help` : undefined;
  return (
    <div className="field">
      <label htmlFor={id}>{title}</label>
      {children({ id, 'aria-describedby': helpId })}
      {help ? (
        <span className="help" id={helpId}>
          {help}
        </span>
      ) : null}
    </div>
  );
}

interface InputProps extends Omit<ComponentProps<'input'>, 'onChange' | 'id' | 'title' | 'value'> {
  title: string;
  help?: ReactNode;
  value: string;
  onChange: (value: string) => void;
}

export function InputField({ title, help, value, onChange, ...rest }: InputProps) {
  return (
    <Field title={title} help={help}>
      {(control) => (
        <input
          autoComplete="off"
          {...rest}
          {...control}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
