import { useMemo, useState } from 'react';
import { Button } from '../components/Button';
import { Copy, download } from '../components/Copy';
import { DownloadSign } from '../components/icons';
import { plain } from '../components/text';
import type { Json } from './json';
import { toYaml } from './yaml';

const MOST_LINES = 500;

/** A manifest as YAML. */
export function YamlView({ value, name }: { value: Json; name: string }) {
  const [isWhole, setIsWhole] = useState(false);
  const text = useMemo(() => toYaml(value).trimStart(), [value]);
  const lines = useMemo(() => text.split('\n').map((line) => plain(line, 2000)), [text]);
  const isCut = lines.length > MOST_LINES && !isWhole;
  return (
    <div className="json">
      <div className="json-tools">
        <span className="help">{lines.length - 1} lines</span>
        <Copy text={() => text} what="the manifest" />
        <Button look="bare" onClick={() => download(text, `${name}.yaml`, 'application/yaml')}>
          <DownloadSign />
          Download
        </Button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: an area that scrolls must be reachable by keyboard. */}
      <pre className="yaml" tabIndex={0}>
        {(isCut ? lines.slice(0, MOST_LINES) : lines).join('\n')}
      </pre>
      {isCut ? <Button onClick={() => setIsWhole(true)}>{lines.length - MOST_LINES} more lines</Button> : null}
    </div>
  );
}
