import { isObject, type Json, type JsonObject } from '../json/json';

/** A field of a form, from a JSON Schema. What has no field of its own is edited as JSON. */
export type Field = FieldBase &
  (
    | { kind: 'text'; isLong: boolean; format: string | undefined }
    | { kind: 'number'; isInteger: boolean; least: number | undefined; most: number | undefined }
    | { kind: 'boolean' }
    | { kind: 'choice'; options: Json[] }
    | { kind: 'texts' }
    | { kind: 'group'; fields: Field[] }
    | { kind: 'json' }
  );

interface FieldBase {
  name: string;
  title: string;
  help: string;
  isRequired: boolean;
  usual: Json | undefined;
  example: string | undefined;
}

const DEEPEST = 4;
const LONG = new Set(['multiline', 'textarea', 'markdown', 'text']);

/** Returns the fields of an object's schema, or undefined if it cannot be shown as a form. */
export function fieldsOf(schema: Json | null | undefined): Field[] | undefined {
  if (!isObject(schema)) return undefined;
  return fieldsIn(schema, schema, 0);
}

function fieldsIn(schema: JsonObject, root: JsonObject, depth: number): Field[] | undefined {
  const properties = schema['properties'];
  if (!isObject(properties) || depth > DEEPEST) return undefined;
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  const fields = Object.entries(properties).map(([name, property]) =>
    fieldOf(name, isObject(property) ? property : {}, root, required.includes(name), depth),
  );
  // The API server has sorted them by name; what is required comes first.
  return [...fields.filter((field) => field.isRequired), ...fields.filter((field) => !field.isRequired)];
}

function fieldOf(name: string, given: JsonObject, root: JsonObject, isRequired: boolean, depth: number): Field {
  const schema = resolved(given, root);
  const examples = Array.isArray(schema['examples']) ? schema['examples'] : [];
  const base: FieldBase = {
    name,
    title: text(schema['title']) ?? name,
    help: text(schema['description']) ?? '',
    isRequired,
    usual: schema['default'],
    example: text(examples[0]),
  };
  const options = schema['enum'];
  if (Array.isArray(options)) return { ...base, kind: 'choice', options };
  switch (schema['type']) {
    case 'string': {
      const format = text(schema['format']);
      const most = schema['maxLength'];
      const isLong = (format !== undefined && LONG.has(format)) || (typeof most === 'number' && most > 200);
      return { ...base, kind: 'text', isLong, format };
    }
    case 'integer':
    case 'number':
      return {
        ...base,
        kind: 'number',
        isInteger: schema['type'] === 'integer',
        least: number(schema['minimum']),
        most: number(schema['maximum']),
      };
    case 'boolean':
      return { ...base, kind: 'boolean' };
    case 'array': {
      const items = isObject(schema['items']) ? resolved(schema['items'], root) : {};
      return { ...base, kind: items['type'] === 'string' && !items['enum'] ? 'texts' : 'json' };
    }
    case 'object': {
      const fields = fieldsIn(schema, root, depth + 1);
      return fields?.length ? { ...base, kind: 'group', fields } : { ...base, kind: 'json' };
    }
    default:
      return { ...base, kind: 'json' };
  }
}

/** Follows $ref, and takes the one schema that is not null from an optional one. */
function resolved(schema: JsonObject, root: JsonObject): JsonObject {
  let current = schema;
  for (let step = 0; step < 10; step += 1) {
    const reference = text(current['$ref']);
    const choices = current['anyOf'] ?? current['oneOf'] ?? current['allOf'];
    let next: Json | undefined;
    if (reference?.startsWith('#/')) next = at(root, reference.slice(2).split('/'));
    else if (Array.isArray(choices)) {
      const real = choices.filter((choice) => isObject(choice) && choice['type'] !== 'null');
      if (real.length === 1) next = real[0];
    }
    if (!isObject(next)) return current;
    const { $ref: _, anyOf: __, oneOf: ___, allOf: ____, ...own } = current;
    current = { ...next, ...own };
  }
  return current;
}

function at(root: Json, path: string[]): Json | undefined {
  let current: Json | undefined = root;
  for (const key of path) {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    current = isObject(current) ? current[name] : undefined;
  }
  return current;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: Json | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Returns an object with another value at a path; undefined removes it, and groups that are then empty. */
export function withValue(object: JsonObject, path: readonly string[], value: Json | undefined): JsonObject {
  const [name, ...rest] = path;
  if (name === undefined) return object;
  const result = { ...object };
  const inner = object[name];
  const next = rest.length ? withValue(isObject(inner) ? inner : {}, rest, value) : value;
  if (next === undefined || (rest.length && isObject(next) && Object.keys(next).length === 0)) delete result[name];
  else result[name] = next;
  return result;
}

export function valueAt(object: JsonObject, path: readonly string[]): Json | undefined {
  return at(
    object,
    path.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1')),
  );
}

/** Returns the messages of invalid fields by their path, as the gateway sends them. */
export function messagesOf(invalidFields: Json | undefined): Record<string, string> {
  if (!isObject(invalidFields)) return {};
  const messages = Object.entries(invalidFields).map(([path, problem]) => [
    path,
    (isObject(problem) ? text(problem['message']) : undefined) ?? 'not valid',
  ]);
  return Object.fromEntries(messages);
}
