"""Conditions in the form of kstatus, and their transition times."""

import msgspec
import pytest

from podrelay.operator.objects.metadata import Condition
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.planner.conditions import stalled_since, with_conditions
from tests.unit.operator.builders import NOW, later


def shown(phase: str, reason: str = "Because", *, stalled: bool = False) -> TaskRunStatus:
    return with_conditions(TaskRunStatus(phase=phase, reason=reason, message="words"), NOW, stalled=stalled)


def condition(status: TaskRunStatus, kind: str) -> Condition:
    found = status.condition(kind)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("phase", "stalled", "succeeded", "reconciling", "is_stalled"),
    [
        ("Pending", False, "Unknown", "True", "False"),
        ("Pending", True, "Unknown", "False", "True"),
        ("Running", False, "Unknown", "True", "False"),
        ("Running", True, "Unknown", "False", "True"),
        ("Succeeded", False, "True", "False", "False"),
        ("Failed", False, "False", "False", "True"),
        ("Aborted", False, "False", "False", "True"),
    ],
)
def test_conditions_follow_from_the_phase(
    phase: str, stalled: bool, succeeded: str, reconciling: str, is_stalled: str
) -> None:
    status = shown(phase, stalled=stalled)

    assert condition(status, "Succeeded").status == succeeded
    assert condition(status, "Reconciling").status == reconciling
    assert condition(status, "Stalled").status == is_stalled


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Aborted"])
def test_finished_is_true_at_every_end(phase: str) -> None:
    finished = condition(shown(phase, "BecauseOfThat"), "Finished")

    assert (finished.status, finished.reason, finished.last_transition_time) == ("True", "BecauseOfThat", NOW)


@pytest.mark.parametrize(("phase", "stalled"), [("Pending", False), ("Pending", True), ("Running", False)])
def test_finished_is_absent_before_the_end(phase: str, stalled: bool) -> None:
    assert shown(phase, stalled=stalled).condition("Finished") is None


def test_the_time_stays_while_the_status_of_a_condition_stays() -> None:
    before = shown("Running", "One")

    after = with_conditions(msgspec.structs.replace(before, reason="Two"), later(60), stalled=False)

    assert condition(after, "Succeeded").last_transition_time == NOW
    assert condition(after, "Succeeded").reason == "Two"


def test_the_time_moves_when_the_status_of_a_condition_changes() -> None:
    after = with_conditions(msgspec.structs.replace(shown("Running"), phase="Failed"), later(60), stalled=False)

    assert condition(after, "Succeeded").last_transition_time == later(60)
    assert condition(after, "Reconciling").last_transition_time == later(60)


def test_stalled_shows_since_when_the_run_has_had_this_problem() -> None:
    first = shown("Pending", "DefinitionNotFound", stalled=True)
    same = with_conditions(msgspec.structs.replace(first, message="more"), later(10), stalled=True)
    other = with_conditions(msgspec.structs.replace(first, reason="QuotaExceeded"), later(20), stalled=True)

    assert stalled_since(same, "DefinitionNotFound") == NOW
    assert stalled_since(other, "QuotaExceeded") == later(20)
    assert stalled_since(other, "DefinitionNotFound") is None
    assert stalled_since(shown("Pending", "QuotaExceeded"), "QuotaExceeded") is None
    assert stalled_since(TaskRunStatus(), "QuotaExceeded") is None
