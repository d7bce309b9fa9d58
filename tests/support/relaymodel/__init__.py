"""A model of everything around the relay, for tests in virtual time.

The operator in it is the real store, planner and executor, the runner the real fence, record and hooks; API server,
nodes, users and time are models (`tests/support/modelapi.py` and this package). `World` has a method for everything
that may happen; `promises` looks after each of them at what holds, `moves` chooses what happens next.
"""
