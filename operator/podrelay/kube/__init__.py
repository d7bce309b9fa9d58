"""A thin asynchronous client of the Kubernetes API: configuration, requests, reflectors, errors.

It knows nothing of tasks. It exists because the general clients cost 5 to 30 times the CPU time and memory per object
(docs/decisions/0002-own-kubernetes-client.md); it does only what the operator and the gateway need.
"""
