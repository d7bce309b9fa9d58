"""The promises of the relay, checked on random histories of everything that may happen to some runs.

The operator is the real store, planner and executor, the runner the real fence, record and hooks; API server, nodes
and time are models, see tests/support/relaymodel. docs/development.md tells how to search longer.
"""

import os

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.support.relaymodel import moves

HISTORIES = int(os.environ.get("PODRELAY_HISTORIES", "600"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without explanations, which trace every line: a failure is told by its moves."""
SHORTEST, LONGEST = 60, 260
"""Bytes; a move takes three of them, the choice of a world up to 24."""
DONE = {"status": "done"}


@settings(
    max_examples=HISTORIES,
    deadline=None,
    phases=PHASES,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.binary(min_size=SHORTEST, max_size=LONGEST))
def test_every_history_keeps_the_promises(data: bytes) -> None:
    choices = moves.Bytes(data)
    history = moves.begin(choices)
    while choices:
        history.play(choices)
        assert not history.world.violations, history.told

    history.world.settle(DONE)

    assert not history.world.violations, history.told
    for run in history.world.runs():
        event(f"{run['status']['phase']} {run['status']['reason']}")
