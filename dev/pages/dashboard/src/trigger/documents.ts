import { graphql } from '../api/graphql';

export const GetInputSchema = graphql(`
  query GetInputSchema($id: ID!) {
    backgroundTasks {
      getDefinition(id: $id) {
        data { id name title description inputSchema suspended }
        error { message code data }
      }
    }
  }
`);

export const ValidateInput = graphql(`
  query ValidateInput($definition: String!, $input: JSON) {
    backgroundTasks {
      validateInput(definition: $definition, input: $input) {
        data { isValid invalidFields problem }
        error { message code data }
      }
    }
  }
`);

export const TriggerRun = graphql(`
  mutation TriggerRun(
    $definition: String!
    $input: JSON
    $name: String
    $startAt: DateTime
    $idempotencyKey: String
  ) {
    backgroundTasks {
      triggerTask(
        definition: $definition
        input: $input
        name: $name
        startAt: $startAt
        idempotencyKey: $idempotencyKey
      ) {
        data { id namespace }
        error { message code data }
      }
    }
  }
`);
