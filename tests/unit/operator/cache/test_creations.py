"""Which requests may still create pods of a run, in numbers."""

from datetime import datetime, timedelta

import pytest

from podrelay.operator.cache.creations import Creations, Term
from tests.unit.operator.builders import NOW, task_run

BEGAN = NOW - timedelta(hours=1)
OLD, YOUNG = BEGAN + timedelta(seconds=1), BEGAN + timedelta(seconds=2)


class Boot:
    """A monotonic clock."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def boot() -> Boot:
    return Boot()


@pytest.fixture
def creations(boot: Boot) -> Creations:
    found = Creations(boot)
    found.begin_term(Term(BEGAN, 15.0))
    return found


@pytest.mark.parametrize(
    ("lease", "request_seconds", "settles"), [(15.0, 35.0, 60.0), (6.0, 14.0, 24.0), (60.0, 35.0, 135.0)]
)
def test_the_times_follow_from_the_lease(lease: float, request_seconds: float, settles: float) -> None:
    term = Term(BEGAN, lease)

    assert (term.request_seconds, term.settles_after) == pytest.approx((request_seconds, settles))


def test_a_run_that_is_younger_than_the_term_needs_no_proof(creations: Creations) -> None:
    run = task_run(created=YOUNG)

    assert creations.are_alone(run)
    assert creations.late_until(run, NOW) is None


def test_an_older_run_needs_a_status_of_this_term_and_time(creations: Creations, boot: Boot) -> None:
    run = task_run(created=OLD)
    creations.status_written(run)
    boot.seconds += 59.9
    assert not creations.are_alone(run)
    assert creations.late_until(run, NOW) == NOW + timedelta(seconds=0.1)

    boot.seconds += 0.2

    assert creations.are_alone(run)
    creations.begin_term(Term(BEGAN, 15.0))
    boot.seconds += 61
    assert not creations.are_alone(run), "the status was written in an earlier term"


def test_without_the_time_of_the_api_server_every_run_is_old(boot: Boot) -> None:
    creations = Creations(boot)
    creations.begin_term(Term(None, 15.0))

    assert not creations.are_alone(task_run(created=NOW))


def test_a_request_without_a_response_may_take_effect_for_a_minute(creations: Creations, boot: Boot) -> None:
    run = task_run(created=YOUNG)
    creations.unanswered(run)
    boot.seconds += 59.9
    assert not creations.are_alone(run)

    boot.seconds += 0.2

    assert creations.are_alone(run)


def test_outside_a_term_nothing_is_certain(boot: Boot) -> None:
    run = task_run(created=datetime.fromisoformat("2030-01-01T00:00:00Z"))

    assert not Creations(boot).are_alone(run)
    assert Creations(boot).request_seconds is None
