import { useState } from 'react';
import { IconButton } from './Button';
import { CopySign } from './icons';

/** Copies a text to the clipboard, and says so. */
export function Copy({ text, what }: { text: () => string; what: string }) {
  const [said, setSaid] = useState('');
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text());
      setSaid('Copied');
    } catch {
      setSaid('The browser does not allow it');
    }
    setTimeout(() => setSaid(''), 2000);
  }
  return (
    <span className="copy">
      <IconButton label={`Copy ${what}`} onClick={() => void copy()}>
        <CopySign />
      </IconButton>
      <span className="copy-said" role="status">
        {said}
      </span>
    </span>
  );
}

/** Offers a text as a file. */
export function download(text: string, name: string, type = 'text/plain'): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
