"""A thin asynchronous client of the Kubernetes API: configuration, requests, reflectors, errors.

It is independent of tasks. It exists because general-purpose clients need 5 to 30 times the CPU time and memory per
object (docs/decisions/0002-own-kubernetes-client.md); it implements only what the operator and the gateway need.
"""
