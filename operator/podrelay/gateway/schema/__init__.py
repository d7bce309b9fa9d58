"""The GraphQL schema: types, arguments and resolvers. `build` in `podrelay.gateway.schema.build` puts it together."""
