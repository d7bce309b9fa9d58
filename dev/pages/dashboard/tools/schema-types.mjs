// Writes src/api/schema.d.ts: the gateway's schema as a type, from which gql.tada infers the types of all documents.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal';
import { buildSchema, introspectionFromSchema } from 'graphql';

const schema = new URL('../../../../operator/podrelay/gateway/schema.graphql', import.meta.url);
const output = new URL('../src/api/schema.d.ts', import.meta.url);

const introspection = introspectionFromSchema(buildSchema(readFileSync(schema, 'utf8')), { descriptions: false });
const types = outputIntrospectionFile(minifyIntrospection(introspection), {
  fileType: '.d.ts',
  shouldPreprocess: true,
});
if (!existsSync(output) || readFileSync(output, 'utf8') !== types) writeFileSync(output, types);
