import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sorted } from './sorted';
import { toYaml } from './yaml';

test('a manifest looks as kubectl prints it', () => {
  const manifest = {
    kind: 'TaskRun',
    spec: { command: ['sh', '-c', 'a: b'], env: [{ name: 'A', value: '1' }], empty: {}, none: null, yes: 'yes' },
    script: 'one\ntwo\n',
  };
  assert.equal(
    toYaml(manifest).trimStart(),
    [
      'kind: TaskRun',
      'spec:',
      '  command:',
      '  - sh',
      '  - "-c"',
      '  - "a: b"',
      '  env:',
      '  - name: A',
      '    value: "1"',
      '  empty: {}',
      '  none: null',
      '  "yes": "yes"',
      'script: |',
      '  one',
      '  two',
      '',
    ].join('\n'),
  );
});

test('the order of keys makes no difference', () => {
  assert.equal(JSON.stringify(sorted({ b: [{ d: 1, c: 2 }], a: 0 })), '{"a":0,"b":[{"c":2,"d":1}]}');
});
