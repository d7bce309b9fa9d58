import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsOf, messagesOf, valueAt, withValue } from './schema-form';

const schema = {
  type: 'object',
  required: ['url'],
  properties: {
    count: { type: 'integer', minimum: 1, default: 3 },
    url: { type: 'string', title: 'Address', description: 'Where it is.' },
    mode: { $ref: '#/$defs/Mode' },
    note: { anyOf: [{ type: 'string', format: 'multiline' }, { type: 'null' }], default: null },
    tags: { type: 'array', items: { type: 'string' } },
    place: { type: 'object', properties: { city: { type: 'string' } } },
    anything: {},
    rows: { type: 'array', items: { type: 'object' } },
  },
  $defs: { Mode: { enum: ['merge', 'replace'], type: 'string' } },
};

test('each kind of schema has its field, and required ones come first', () => {
  const fields = fieldsOf(schema) ?? [];
  assert.deepEqual(
    fields.map((field) => [field.name, field.kind]),
    [
      ['url', 'text'],
      ['count', 'number'],
      ['mode', 'choice'],
      ['note', 'text'],
      ['tags', 'texts'],
      ['place', 'group'],
      ['anything', 'json'],
      ['rows', 'json'],
    ],
  );
  const note = fields.find((field) => field.name === 'note');
  assert.equal(note?.kind === 'text' && note.isLong, true);
});

test('what has no properties has no form', () => {
  assert.equal(fieldsOf(null), undefined);
  assert.equal(fieldsOf({ type: 'object' }), undefined);
  assert.equal(fieldsOf('nonsense'), undefined);
});

test('a schema that refers to itself ends', () => {
  const endless = { properties: { next: { $ref: '#' } } };
  assert.ok(fieldsOf(endless));
  assert.ok(fieldsOf({ properties: { a: { $ref: '#/$defs/A' } }, $defs: { A: { $ref: '#/$defs/A' } } }));
});

test('values are set and removed by their path', () => {
  const value = withValue({ a: 1 }, ['place', 'city'], 'Graz');
  assert.deepEqual(value, { a: 1, place: { city: 'Graz' } });
  assert.equal(valueAt(value, ['place', 'city']), 'Graz');
  assert.deepEqual(withValue(value, ['place', 'city'], undefined), { a: 1 });
});

test('messages of the gateway are found by their path', () => {
  assert.deepEqual(messagesOf({ 'rows.1': { code: 'missing', message: 'Field required' } }), {
    'rows.1': 'Field required',
  });
  assert.deepEqual(messagesOf(null), {});
});
