"""Retry and Fatal: the decision of the task itself about another attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import podrelay
from podrelay.sdk.answers import Failed
from podrelay.sdk.controller import Response
from podrelay.sdk.retry_exceptions import Fatal, Retry


class RateLimited(Retry):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Retry("busy"), Failed("busy", "Retry", None, True)),
        (Retry("busy", after=30), Failed("busy", "Retry", None, True, 30.0)),
        (Retry("busy", after=0), Failed("busy", "Retry", None, True, 0.0)),
        (
            Retry("busy", after=timedelta(minutes=1), code="E429", data={"shop": 1}),
            Failed("busy", "E429", {"shop": 1}, True, 60.0),
        ),
        (RateLimited("busy"), Failed("busy", "RateLimited", None, True)),
        (Retry(""), Failed("Retry", "Retry", None, True)),
        (Fatal("no such shop"), Failed("no such shop", "Fatal", None, False)),
        (Fatal("no", code="E404", data={"shop": 1}), Failed("no", "E404", {"shop": 1}, False)),
    ],
    ids=repr,
)
def test_they_become_answers_with_message_code_and_data(error: Exception, expected: Failed) -> None:
    assert Response().error(error) == expected


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (-5, 0.0),
        (float("nan"), 0.0),
        (float("inf"), 30_672_000.0),
        (timedelta(days=400), 30_672_000.0),
        (datetime(2000, 1, 1, tzinfo=UTC), 0.0),
        (datetime(9999, 1, 1, tzinfo=UTC), 30_672_000.0),
    ],
)
def test_the_pause_is_between_zero_and_355_days(after: Any, seconds: float) -> None:
    assert Retry("busy", after=after).after_seconds == seconds


@pytest.mark.parametrize("zone", [UTC, None])
def test_the_pause_may_end_at_a_time_in_utc_by_default(zone: Any) -> None:
    date = (datetime.now(UTC) + timedelta(seconds=100)).replace(tzinfo=zone)

    assert Retry("busy", after=date).after_seconds == pytest.approx(100, abs=5)


def test_other_values_are_not_a_pause() -> None:
    with pytest.raises(TypeError, match="seconds, a timedelta or a datetime, not str"):
        Retry("busy", after="30 s")  # type: ignore[arg-type]


def test_the_package_exports_them() -> None:
    assert (podrelay.Retry, podrelay.Fatal) == (Retry, Fatal)
