"""What has happened in a time range."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.cache import Cache
from podrelay.gateway.finished_runs import FinishedRuns, start_of
from podrelay.gateway.objects import Run
from tests.unit.gateway.builders import NOW, run
from tests.unit.gateway.conftest import Gateway

DOCUMENT = """query($since: DateTime, $until: DateTime, $seconds: Int, $definition: String) { backgroundTasks {
    overview(since: $since, until: $until, intervalSeconds: $seconds, definition: $definition) { data {
        since until intervalSeconds created finished { status count } failures { reason reasonCode count } successRate
        durations { median p95 longest } queueSeconds { longest } iterations { median }
        intervals { start created finished { status count } } } error { code message } } } }"""


def finished(name: str, age: float, phase: str = "Succeeded", seconds: float = 60, **more: Any) -> Run:
    """A run that finished `age` seconds before NOW, and whose first pod was created `seconds` before that."""
    end = NOW - timedelta(seconds=age)
    about = {"age": age + seconds + 5}
    return run(name, about=about, phase=phase, started_at=end - timedelta(seconds=seconds), finished_at=end, **more)


async def overview(gateway: Gateway, **variables: Any) -> Any:
    """Return the answer for a range."""
    answer = await gateway.ask(DOCUMENT, **variables)
    assert "errors" not in answer, answer
    return answer["data"]["backgroundTasks"]["overview"]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).isoformat()


async def test_a_range_shows_what_was_created_and_what_finished_in_it(gateway: Gateway) -> None:
    for one in (
        finished("a", 30, iterations=2, reason="Done"),
        finished("b", 90, "Failed", 600, iterations=4, reason="OOMKilled"),
        finished("c", 150, "Failed", 60, iterations=1, reason="ExitCode3"),
        finished("d", 160, "Aborted", 60, reason="Aborted"),
        finished("old", 4000, "Failed", reason="OOMKilled"),
        run("new", about={"age": 10}),
        run("older", about={"age": 5000}, phase="Running"),
    ):
        gateway.cache.runs.apply(one)

    found = (await overview(gateway, since=ago(180), until=ago(0), seconds=60))["data"]
    assert found["created"] == 2  # a and new
    assert found["finished"] == [
        {"status": "aborted", "count": 1},
        {"status": "failed", "count": 2},
        {"status": "success", "count": 1},
    ]
    assert {(one["reason"], one["reasonCode"], one["count"]) for one in found["failures"]} == {
        ("OOMKilled", "OOMKilled", 1),
        ("ExitCode3", "ExitCode", 1),
    }
    assert round(found["successRate"], 2) == 0.33
    assert found["durations"] == {"median": 60, "p95": 600, "longest": 600}
    assert found["queueSeconds"] == {"longest": 5}
    assert found["iterations"] == {"median": 2}
    assert [(one["created"], [part["count"] for part in one["finished"]]) for one in found["intervals"]] == [
        (0, [1, 1]),
        (1, [1]),
        (1, [1]),
    ]
    assert found["intervals"][0]["start"] == "2026-11-24T11:57:00.000Z"


async def test_one_definition_is_counted_alone(gateway: Gateway) -> None:
    gateway.cache.runs.apply(finished("a", 30))
    gateway.cache.runs.apply(run("b", "import-products", about={"age": 10}, phase="Failed", finished_at=NOW))
    for definition in ("importProducts", "import-products"):
        found = (await overview(gateway, since=ago(180), until=ago(-1), definition=definition))["data"]
        assert (found["created"], found["finished"]) == (1, [{"status": "failed", "count": 1}])


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"since": ago(0), "until": ago(0)}, "since must be before until"),
        ({"since": ago(100), "until": ago(0), "seconds": 59}, "at least 60"),
        ({"since": ago(100_000), "until": ago(0), "seconds": 60}, "1667 intervals, more than the 500"),
        ({"until": "0001-01-01T00:00:00Z"}, "until is too early"),
    ],
)
async def test_a_range_must_make_sense(gateway: Gateway, variables: Any, words: str) -> None:
    found = await overview(gateway, **variables)

    assert found["data"] is None
    assert found["error"]["code"] == "BackgroundTasks/ValidationError"
    assert words in found["error"]["message"]


async def test_without_tasks_everything_is_zero(gateway: Gateway) -> None:
    found = (await overview(gateway, since="0001-01-01T00:00:00Z"))["data"]

    assert (found["created"], found["finished"], found["failures"], found["successRate"]) == (0, [], [], None)
    assert {one["created"] for one in found["intervals"]} == {0}


ends = st.none() | st.integers(0, 3).map(lambda seconds: NOW + timedelta(seconds=seconds))
states = st.builds(
    lambda name, end, version: run(name, about={"version": str(version)}, phase="Failed", finished_at=end),
    st.sampled_from(["a", "b", "c"]),
    ends,
    st.integers(1, 1000),
)


@given(st.lists(st.tuples(st.booleans(), states), max_size=20))
def test_the_ends_always_agree_with_the_cache(history: list[tuple[bool, Run]]) -> None:
    cache = Cache()
    finished_runs = FinishedRuns(cache.runs)
    for is_gone, one in history:
        (cache.runs.remove if is_gone else cache.runs.apply)(one)

    def end(one: Run) -> datetime:
        assert one.status.finished_at is not None
        return one.status.finished_at

    expected = sorted((end(one).timestamp(), one.key) for one in cache.runs.all(None) if one.status.finished_at)
    for namespace in (None, "shop"):
        assert finished_runs.part(namespace, start_of(0), 100) == expected
