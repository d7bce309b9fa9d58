"""The queues of definitions, which follow the cache."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.cache import Cache
from podrelay.gateway.objects import Run
from podrelay.gateway.queues import Queues, has_slot, is_queued
from podrelay.kube.resources import Key
from tests.unit.gateway.builders import run

states = st.builds(
    lambda name, kind, age, status, version: run(name, kind, about={"age": age, "version": str(version)}, **status),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["x", "y"]),
    st.integers(0, 2),
    st.sampled_from(
        [
            {"phase": "Pending", "reason": "Queued"},
            {"phase": "Running", "reason": "Queued"},
            {"phase": "Running", "reason": "IterationRunning", "pod": "p"},
            {"phase": "Running", "reason": "Waiting"},
            {"phase": "Succeeded", "reason": "Done", "pod": "p"},
        ]
    ),
    st.integers(1, 1000),
)


@given(st.lists(st.tuples(st.booleans(), states), max_size=25))
def test_lines_always_agree_with_the_cache(history: list[tuple[bool, Run]]) -> None:
    cache = Cache()
    queues = Queues(cache.runs)
    for is_gone, one in history:
        (cache.runs.remove if is_gone else cache.runs.apply)(one)

    for kind in ("x", "y"):
        line = queues.of(Key("shop", kind))
        of_kind = [one for one in cache.runs.all("shop") if one.spec.definition == kind]
        of_kind.sort(key=lambda one: (one.metadata.creation_timestamp, one.key))
        waiting: list[Any] = [one for one in of_kind if is_queued(one)]
        assert [*line.keys(line.waiting, 0, 9)] == [one.key for one in waiting]
        assert [*line.keys(line.holding, 0, 9)] == [one.key for one in of_kind if has_slot(one)]
        assert [line.position(one) for one in waiting] == [*range(1, len(waiting) + 1)]
