"""A model of everything around the relay, for tests in virtual time.

The operator in it is the real store, planner and executor, and the runner is the real fence, record and hooks. API
server, nodes, users and time are models (`tests/support/modelapi.py` and this package). `World` has a method for each
event that may happen, `promises` checks the invariants after each, and `moves` chooses what happens next.
"""
