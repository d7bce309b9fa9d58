"""Requests about schedules: triggered runs, backfills, pauses."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podrelay.api import limits
from podrelay.api.schedule_requests import (
    InvalidScheduleRequestError,
    resumption,
    suspension,
    triggered_run,
    with_backfill,
)
from tests.support.schedules import task_schedule

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = BEGIN + timedelta(days=31)


def schedule(**spec: Any) -> dict[str, Any]:
    return task_schedule(metadata={"namespace": "shop"}, run={"input": {"shop": "graz"}}, **spec)


def test_a_triggered_run_is_what_the_schedule_would_start() -> None:
    run = triggered_run(schedule(), BEGIN, created_by="anna")

    assert run["spec"] == {
        "definition": "count-words",
        "input": {"shop": "graz"},
        "scheduled": {"schedule": "nightly", "time": "2026-01-01T00:00:00Z", "manual": True},
    }
    assert run["metadata"]["annotations"] == {"podrelay.dev/created-by": "anna"}
    assert run["metadata"]["name"].startswith("nightly-")
    assert len("x" * limits.SCHEDULE_NAME_LENGTH + run["metadata"]["name"][7:]) <= limits.RUN_NAME_LENGTH


def test_the_same_key_gives_the_same_run_and_another_one_another() -> None:
    names = [triggered_run(schedule(), BEGIN, key=key)["metadata"]["name"] for key in ("a", "a", "b")]
    assert names[0] == names[1] != names[2]


def test_an_input_replaces_that_of_the_schedule() -> None:
    assert triggered_run(schedule(), BEGIN, input={"shop": "linz"})["spec"]["input"] == {"shop": "linz"}


def test_the_same_backfill_twice_is_one() -> None:
    first = with_backfill(schedule(), BEGIN, UNTIL)
    assert [item["name"] for item in first] == ["20260101t000000z-20260201t000000z"]
    assert with_backfill(schedule(backfills=first), BEGIN, UNTIL) == first


@pytest.mark.parametrize(
    ("arguments", "options", "argument"),
    [
        ((BEGIN.replace(tzinfo=None), UNTIL), {}, "from"),
        ((UNTIL, BEGIN), {}, "until"),
        ((BEGIN, UNTIL), {"starts_per_minute": 601}, "startsPerMinute"),
        ((BEGIN, UNTIL), {"overlap": "Skip"}, "overlap"),
    ],
)
def test_an_invalid_argument_is_named(
    arguments: tuple[datetime, datetime], options: dict[str, Any], argument: str
) -> None:
    with pytest.raises(InvalidScheduleRequestError) as error:
        with_backfill(schedule(), *arguments, **options)
    assert error.value.argument == argument


def test_the_name_of_a_backfill_cannot_be_used_for_another_one() -> None:
    known = schedule(backfills=with_backfill(schedule(), BEGIN, UNTIL, name="january"))
    with pytest.raises(InvalidScheduleRequestError, match="january"):
        with_backfill(known, BEGIN, UNTIL, name="january", overlap="Allow")


def test_an_eleventh_backfill_replaces_a_finished_one_or_is_refused() -> None:
    ten = [{"name": f"b{number}"} for number in range(10)]
    with pytest.raises(InvalidScheduleRequestError, match="too many"):
        with_backfill(schedule(backfills=ten), BEGIN, UNTIL)

    finished = schedule(backfills=ten) | {
        "status": {"backfills": [{"name": "b3", "finishedAt": "2026-01-01T00:00:00Z"}]}
    }
    names = [item["name"] for item in with_backfill(finished, BEGIN, UNTIL, name="new")]
    assert names == [f"b{number}" for number in range(10) if number != 3] + ["new"]


def test_a_resumption_removes_what_a_suspension_sets() -> None:
    assert suspension("moving", "anna") == {"suspend": True, "suspendNote": "moving", "suspendedBy": "anna"}
    assert resumption() == {"suspend": False, "suspendNote": None, "suspendedBy": None}
