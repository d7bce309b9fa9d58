"""A run whose definition does not allow its overrides: it waits with a reason, and then fails."""

from typing import Any

import pytest

from podrelay.operator.object_rules import is_new
from podrelay.operator.objects.runs import TaskRunStatus
from podrelay.operator.plan import CreatePod
from podrelay.operator.view import View
from tests.unit.operator.builders import NOW, ago, later, plan, pod, record, task_definition, task_run, terminated, view

GIVEN: dict[str, Any] = {"nodeSelector": {"disk": "ssd"}}
MESSAGE = "spec.overrides has nodeSelector, but TaskDefinition count-words allows env, retry"
STALLED = {"type": "Stalled", "status": "True", "reason": "OverridesNotAllowed", "lastTransitionTime": ago(899)}


def refused(status: dict[str, Any] | None = None, **rest: Any) -> View:
    definition = task_definition(allowOverrides=["env", "retry"], **rest.pop("definition", {}))
    return view(task_run(status, overrides=GIVEN, **rest.pop("spec", {})), definition, **rest)


def status_after(seen: View, seconds: float = 0) -> TaskRunStatus:
    following = plan(seen, later(seconds))
    assert following.actions == ()
    assert following.status is not None
    return following.status


def test_it_gets_no_pod_and_says_why() -> None:
    status = status_after(refused())

    assert (status.phase, status.reason) == ("Pending", "OverridesNotAllowed")
    assert (status.message or "").startswith(MESSAGE)
    stalled = status.condition("Stalled")
    assert stalled is not None
    assert stalled.status == "True"


def test_it_says_so_at_once_although_it_starts_later() -> None:
    status = status_after(refused(spec={"delaySeconds": 3600}))
    assert status.reason == "OverridesNotAllowed"


def test_its_input_is_checked_when_the_definition_has_been_corrected() -> None:
    assert is_new(status_after(refused(definition={"inputSchema": {"type": "object"}})))


def test_it_fails_after_its_pending_timeout() -> None:
    waiting = {"phase": "Pending", "reason": "OverridesNotAllowed", "conditions": [STALLED]}
    assert status_after(refused(waiting)).phase == "Pending"

    status = status_after(refused(waiting), 2)
    assert (status.phase, status.reason) == ("Failed", "OverridesNotAllowed")
    assert MESSAGE in (status.message or "")


def test_a_definition_that_allows_them_lets_it_start() -> None:
    allowing = view(task_run(overrides=GIVEN), task_definition(allowOverrides=["nodeSelector"]))
    (action,) = plan(allowing, NOW).actions
    assert isinstance(action, CreatePod)


@pytest.mark.parametrize("answer", [{"status": "continue", "input": {}}, {"status": "error", "retryable": True}])
def test_a_running_relay_waits_when_its_definition_no_longer_allows_them(answer: dict[str, Any]) -> None:
    current = {"iteration": 1, "try": 1, "podName": "words-i1", "podUID": "uid-words-i1"}
    status = {"phase": "Running", "startedAt": ago(60), "iterations": 1, "current": current}
    seen = refused(
        status,
        definition={"retry": {"limit": 1, "initialSeconds": 0}},
        pods=(pod(phase="Succeeded", state=terminated()),),
        records=(record("words-i1", answer),),
    )

    after = status_after(seen)
    assert (after.phase, after.reason) == ("Running", "OverridesNotAllowed")


def test_an_abort_does_not_wait_for_them() -> None:
    status = status_after(refused(spec={"abort": {"message": "wrong file"}}))
    assert (status.phase, status.message) == ("Aborted", "wrong file")
