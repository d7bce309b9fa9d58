import { type FormEvent, type ReactNode, useState } from 'react';
import { wordsOf } from '../api/problems';
import { Button } from './Button';
import { Dialog } from './Dialog';

interface Props {
  title: string;
  action: string;
  isDangerous?: boolean;
  children: ReactNode;
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

/** Asks before something is done, says what follows from it, and what became of it if it fails. */
export function ConfirmDialog({ title, action, isDangerous = false, children, onConfirm, onClose }: Props) {
  const [isBusy, setIsBusy] = useState(false);
  const [failure, setFailure] = useState('');

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
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
    <Dialog title={title} onClose={onClose}>
      <form className="confirm" onSubmit={(event) => void submit(event)}>
        {children}
        <p className="field-problem" role="alert">
          {failure}
        </p>
        <div className="dialog-actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="main" type="submit" disabled={isBusy} className={isDangerous ? 'button-main-danger' : ''}>
            {isBusy ? 'Please wait…' : action}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
