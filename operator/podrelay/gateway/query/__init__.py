"""Lists, filters, sorting, statistics and changes of the cached objects, independent of GraphQL."""
