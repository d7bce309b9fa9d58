"""Counts and durations."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.objects import Run
from tests.unit.gateway.builders import NOW, run, statistics_of


def finished(name: str, seconds: float, phase: str = "Succeeded", definition: str = "count-words") -> Run:
    return run(name, definition, phase=phase, started_at=NOW, finished_at=NOW + timedelta(seconds=seconds))


def test_runs_are_counted_by_status_definition_and_hour() -> None:
    runs = [
        run("a", about={"age": 0}),
        run("b", phase="Running", about={"age": 3600}),
        run("c", "import-products", phase="Failed", about={"age": 3700}, finished_at=NOW - timedelta(hours=1)),
        run("old", about={"age": 3600 * 24 * 30}),
    ]
    found = statistics_of(runs, NOW)

    assert found.total == 4
    assert found.by_status == {"failed": 1, "pending": 2, "running": 1}
    assert [(one.definition_id, one.by_status) for one in found.by_definition] == [
        ("countWords", {"pending": 2, "running": 1}),
        ("importProducts", {"failed": 1}),
    ]
    assert [(one.hour.hour, one.created, one.finished) for one in found.by_hour] == [
        (10, 1, {}),
        (11, 1, {"failed": 1}),
        (12, 1, {}),
    ]
    assert found.durations is None


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50))
def test_quantiles_are_not_exceeded_by_their_share_of_values(seconds: list[int]) -> None:
    found = statistics_of([finished(f"r{n}", value) for n, value in enumerate(seconds)], NOW).durations
    assert found is not None

    for share, value in ((0.5, found.median), (0.95, found.p95)):
        assert value in seconds
        assert sum(one <= value for one in seconds) >= share * len(seconds)
        assert sum(one < value for one in seconds) < share * len(seconds)
    assert found.longest == max(seconds)


def test_without_runs_the_statistics_are_empty() -> None:
    found = statistics_of([], NOW)

    assert (found.total, found.by_status, found.by_definition, found.by_hour) == (0, {}, [], [])
    assert found.durations is None


@pytest.mark.parametrize("phase", ["Failed", "Aborted"])
def test_runs_that_failed_or_were_aborted_have_durations(phase: str) -> None:
    found = statistics_of([finished("a", 7, phase)], NOW).durations

    assert found is not None
    assert found.median == 7


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 100),
        ({"delay_seconds": 60}, 40),
        ({"start_at": NOW - timedelta(seconds=30)}, 30),
        ({"start_at": NOW - timedelta(seconds=300)}, 100),
        ({"delay_seconds": 600}, 0),
    ],
)
def test_the_time_in_the_queue_begins_after_the_delay(spec: dict[str, Any], seconds: float) -> None:
    one = run("a", spec=spec, about={"age": 100}, phase="Running", started_at=NOW)
    (found,) = statistics_of([one], NOW).by_definition

    assert found.queue_seconds is not None
    assert found.queue_seconds.longest == seconds


def test_aborted_and_unfinished_runs_do_not_count_for_the_success_rate() -> None:
    phases = ("Succeeded", "Succeeded", "Failed", "Aborted", "Running")
    (found,) = statistics_of([finished(f"r{n}", 1, phase) for n, phase in enumerate(phases)], NOW).by_definition
    (other,) = statistics_of([finished("a", 1, "Aborted")], NOW).by_definition

    assert found.success_rate == 2 / 3
    assert other.success_rate is None
