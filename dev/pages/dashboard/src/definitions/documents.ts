import { graphql, type ResultOf } from '../api/graphql';

export const ListDefinitionNames = graphql(`
  query ListDefinitionNames {
    backgroundTasks {
      listDefinitions {
        data { id title namespace }
        error { message code data }
      }
    }
  }
`);

export type DefinitionNames = ResultOf<typeof ListDefinitionNames>;
