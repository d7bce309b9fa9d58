"""Each signal is consumed by exactly one recorded answer, and none is lost, in random histories.

The signals are sent before, during and after the wait, also twice. Pods crash and iterations are retried, operators
have old views, die and take over, and users withdraw signals, abort, suspend and delete runs.
"""

import os

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from tests.support.relaymodel import signals

HISTORIES = int(os.environ.get("PODRELAY_HISTORIES", "150"))
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
UNHEALTHY = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
DATA = st.binary(min_size=100, max_size=400)


@settings(max_examples=HISTORIES, derandomize=True, deadline=None, phases=PHASES, suppress_health_check=UNHEALTHY)
@given(DATA)
def test_each_signal_is_consumed_by_one_recorded_answer(data: bytes) -> None:
    played, consumed = signals.play(data)

    assert not played.violations, played.moves
    event(f"{min(consumed, 5)} signals consumed")
