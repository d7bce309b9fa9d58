import { initGraphQLTada } from 'gql.tada';
import type { Json } from '../json/json';
import type { introspection } from './schema';

/** Parses a document of the gateway's schema; its result and its variables have types. */
export const graphql = initGraphQLTada<{
  introspection: introspection;
  disableMasking: true;
  scalars: { DateTime: string; JSON: Json; Number: number };
}>();

export type { ResultOf, TadaDocumentNode, VariablesOf } from 'gql.tada';
