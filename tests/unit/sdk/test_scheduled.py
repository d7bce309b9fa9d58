"""controller.scheduled: the times of the schedule that started the run."""

from datetime import UTC, datetime

from podrelay.api import names
from podrelay.sdk.scheduled import Scheduled, scheduled_in

VARIABLES = {
    names.ENV_SCHEDULE: "nightly",
    names.ENV_SCHEDULED_FOR: "2026-03-28T01:30:00Z",
    names.ENV_SCHEDULED_PREVIOUS: "2026-03-27T01:30:00Z",
    names.ENV_SCHEDULED_NEXT: "2026-03-29T01:00:00Z",
}


def test_the_times_are_in_utc() -> None:
    assert scheduled_in(VARIABLES) == Scheduled(
        "nightly",
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 27, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    )


def test_a_run_that_a_user_started_has_no_neighbours() -> None:
    alone = {name: VARIABLES[name] for name in (names.ENV_SCHEDULE, names.ENV_SCHEDULED_FOR)}
    found = scheduled_in(alone)
    assert found is not None
    assert (found.previous, found.next) == (None, None)


def test_without_a_schedule_there_is_nothing() -> None:
    assert scheduled_in({}) is None
