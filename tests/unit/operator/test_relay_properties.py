"""The promises of the relay, checked on random histories of everything that may happen to some runs.

The operator is the real store, planner and executor, the runner the real fence, record and hooks; API server, nodes
and time are models, see tests/support/relaymodel. docs/development.md describes how to search longer.
"""

import os

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.support.relaymodel import search

HISTORIES = int(os.environ.get("PODRELAY_HISTORIES", "400"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without the phase of explanations, which traces every line: the moves explain a failure."""
UNHEALTHY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
DATA = st.binary(min_size=search.SHORTEST, max_size=search.LONGEST)


@settings(max_examples=HISTORIES, derandomize=True, deadline=None, phases=PHASES, suppress_health_check=UNHEALTHY)
@given(DATA)
def test_every_history_keeps_the_promises(data: bytes) -> None:
    played = search.play(data)

    assert not played.violations, played.moves
    for end in played.ends:
        event(end)


@settings(max_examples=HISTORIES // 4, derandomize=True, deadline=None, phases=PHASES, suppress_health_check=UNHEALTHY)
@given(DATA)
def test_limits_hold_in_every_history_and_all_runs_end(data: bytes) -> None:
    played = search.play(data, is_limited=True)

    assert not played.violations, played.moves
