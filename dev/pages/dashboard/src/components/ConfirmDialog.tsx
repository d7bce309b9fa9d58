import { type FormEvent, type ReactNode, useState } from 'react';
import { wordsOf } from '../api/problems';
import { Button } from './Button';
import { Dialog } from './Dialog';

interface Props {
  title: string;
  action: string;
  isDangerous?: boolean;
  isWide?: boolean;
  /** What is wrong with the fields is said by the gateway, not by the browser. */
  noValidate?: boolean;
  /** Why it cannot be confirmed. */
  disabledBecause?: string | undefined;
  children: ReactNode;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something is done, says what follows from it, and what became of it if it fails. */
export function ConfirmDialog(props: Props) {
  const {
    title,
    action,
    isDangerous = false,
    isWide = false,
    noValidate = false,
    disabledBecause,
    children,
    onConfirm,
    onClose,
  } = props;
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState('');

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (disabledBecause) return;
    setIsBusy(true);
    setFailure('');
    try {
      await onConfirm();
      onClose();
    } catch (thrown) {
      setFailure(wordsOf(thrown));
      setIsBusy(false);
    }
  }

  return (
    <Dialog title={title} onClose={onClose} isWide={isWide}>
      <form className="confirm" noValidate={noValidate} onSubmit={(event) => void submit(event)}>
        {children}
        <p className="field-problem" role="alert">
          {failure}
        </p>
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look="main"
            type="submit"
            disabled={isBusy}
            disabledBecause={disabledBecause}
            className={isDangerous ? 'button-main-danger' : ''}
          >
            {isBusy ? 'Please wait…' : action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
