"""Limits on random histories of several runs: never more pods than allowed, whatever lags or dies, and all of them end.

The model is that of test_relay_properties.py, where fewer runs have more troubles.
"""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podrelay.reconciler.store import Key
from tests.support.relaymodel import moves
from tests.support.relaymodel.world import NAMESPACE, World
from tests.unit.reconciler.test_relay_properties import PHASES

RUNS = 5
DONE = {"status": "done"}
HISTORIES = int(os.environ.get("PODRELAY_HISTORIES", "300"))
NAMES = [f"run{number}" for number in range(6)]


@settings(
    max_examples=HISTORIES,
    deadline=None,
    phases=PHASES,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.binary(min_size=60, max_size=300))
def test_limits_hold_in_every_history_and_all_runs_end(data: bytes) -> None:
    choices = moves.Bytes(data)
    history = moves.begin(choices, runs=RUNS, always_limited=True)
    while choices:
        history.play(choices)
        assert not history.world.violations, history.told

    history.world.settle(DONE)

    assert not history.world.violations, history.told


def finish(world: World, name: str) -> None:
    """The pod of a run, if it has one, starts, answers and ends."""
    for pod in world.pods():
        if pod["metadata"]["ownerReferences"][0]["name"] == name and world.start(pod["metadata"]["name"]):
            world.answer(pod["metadata"]["uid"], DONE)
            world.exit(pod["metadata"]["name"], 0)


def test_runs_go_in_the_order_of_their_age() -> None:
    world = World({"maxConcurrentRuns": 1}, runs=NAMES)
    operator = world.operators[0]
    order: list[str] = []
    for name in reversed(NAMES):
        operator.step(Key(NAMESPACE, name))
    while len(order) < len(NAMES):
        operator.work()
        order += [
            pod["metadata"]["ownerReferences"][0]["name"]
            for pod in world.pods()
            if pod["metadata"]["uid"] not in world.processes
        ]
        finish(world, order[-1])

    # They are all of one second, so their names decide; the last one was looked at first, before any other asked.
    assert order == ["run5", "run0", "run1", "run2", "run3", "run4"]


def test_runs_in_the_queue_are_not_rewritten_whenever_one_ends() -> None:
    world = World({"maxConcurrentRuns": 1}, runs=[f"run{number}" for number in range(300)])
    operator = world.operators[0]
    operator.work(most=10_000)
    before = len(world.api.events)

    finish(world, "run0")
    operator.work(most=10_000)

    changed = [obj["metadata"]["name"] for plural, _, obj in world.api.events[before:] if plural == "taskruns"]
    assert {"run0", "run1"} <= set(changed)
    assert len(changed) <= 2 + 9  # the end, the next pod, and the places 1, 2, 4 ... 256
