"""The GraphQL gateway: Webiny's backgroundTasks over the same custom resources that kubectl sees.

`server` receives each request, `tenants` finds its namespace, `access` authenticates and authorizes the caller, and
`schema` resolves the queries, mutations and subscriptions. If a request has several operations, `batches` answers each
of them separately. Reads are served from `cache`; writes, and reads of payloads, go to the API server with the caller's
own token (`writing`, `payloads`). `fields`, `filters`, `sorting` and `statistics` are pure.
"""
