"""The GraphQL gateway: Webiny's backgroundTasks over the same custom resources that kubectl sees.

A request enters in `server`, for the namespace that `tenants` finds, is let in by `access`, and is resolved in `schema`
(queries, mutations, subscriptions); of several operations in one request each by itself (`batches`).
Reads come from `cache`; whatever is written, and every payload, goes to the API server with the caller's own token
(`writing`, `payloads`). `fields`, `filters`, `sorting` and `statistics` are pure.
"""
