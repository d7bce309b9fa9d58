"""Operators and runners of different versions: an incompatibility has a message, and costs no attempt."""

import json
from typing import Any

import msgspec
import pytest

from podrelay.api import names, protocol
from podrelay.operator.plan import EndPod, Plan, WriteRecord
from podrelay.operator.planner import failures, termination_message
from podrelay.operator.pods import Pod
from podrelay.operator.view import View
from tests.unit.operator.builders import NOW, current, later, plan, pod, record, running, task_definition, task_run
from tests.unit.operator.builders import terminated as ended
from tests.unit.operator.builders import view as view_of

RUNNING = {"phase": "Running", "startedAt": NOW, "current": current()}
RETRIES: dict[str, Any] = {"limit": 5, "initialSeconds": 0}


def view(pods: tuple[Pod, ...], **record_fields: Any) -> View:
    own = (record(**record_fields),) if record_fields.pop("claimed", True) else ()
    return view_of(task_run(RUNNING), task_definition(retry=RETRIES), pods=pods, records=own)


def only_action(following: Plan) -> Any:
    (action,) = following.actions
    return action


def failed(code: int, message: str) -> Pod:
    return pod(phase="Failed", state=ended(code, message=message))


def test_a_runner_that_does_not_support_this_operator_is_not_retried() -> None:
    words = protocol.unsupported_operator(2, "it lacks the variable 'PODRELAY_NEW'")

    action = only_action(plan(view((failed(76, protocol.farewell(words)),), claimed=False), NOW))

    assert isinstance(action, WriteRecord)
    error = action.response.error
    assert error is not None
    assert (error.code, action.cause, action.response.retryable) == ("UnsupportedRunner", "PodFailure", False)
    assert f"container task refused to run (exit code 76): {words}" == error.message


def test_its_run_fails_at_once_with_that_reason_and_no_attempt() -> None:
    response = {"status": "error", "error": {"message": "m", "code": "UnsupportedRunner"}, "retryable": False}

    following = plan(view((failed(76, ""),), response=response, cause="PodFailure"), NOW)

    assert following.status is not None
    assert (following.status.phase, following.status.reason) == ("Failed", "UnsupportedRunner")
    assert following.status.attempts == 0


def test_a_runner_of_the_first_version_that_lacks_a_variable_is_understood() -> None:
    log = "podrelay-runner: this is no pod of a TaskRun (variable 'PODRELAY_STATE'); to run a task by hand, apply"

    failure = failures.failure_of(failed(2, log))

    assert (failure.code, failure.is_final) == ("UnsupportedRunner", True)
    assert "protocol version 1 lacks the variable 'PODRELAY_STATE'" in failure.message


@pytest.mark.parametrize(
    ("code", "message"),
    [(76, ""), (76, "core dumped"), (76, '{"unsupported":'), (1, protocol.farewell("x")), (2, "usage: ls")],
)
def test_other_ends_are_unchanged(code: int, message: str) -> None:
    failure = failures.failure_of(failed(code, message))

    assert (failure.code, failure.is_final) == (f"ExitCode{code}", False)


def test_a_program_of_another_language_may_use_the_exit_code() -> None:
    own = pod(
        phase="Failed",
        state=ended(76, message=protocol.farewell("x")),
        annotations={names.ANNOTATION_REPORTING: "TerminationMessage"},
    )

    assert failures.failure_of(own).code == "ExitCode76"


def test_an_answer_unknown_to_this_operator_waits_for_one_that_knows_it() -> None:
    """It is not an error: the work is done, and would be done again."""
    answered = view(
        (pod(phase="Succeeded", state=ended()),), response={"status": "yield"}, protocol=protocol.VERSION + 1
    )

    following = plan(answered, NOW)

    assert not following.actions
    status = following.status
    assert status is not None
    assert (status.phase, status.reason, status.attempts) == ("Running", "UnsupportedRunner", 0)
    assert 'answer "yield"' in (status.message or "")
    assert f"version {protocol.VERSION}" in (status.message or "")
    assert "upgrade the operator" in (status.message or "")
    assert status.current is not None
    assert status.current.pod_name == "words-i1"
    stalled = status.condition("Stalled")
    assert stalled is not None
    assert stalled.status == "True"
    assert following.requeue_at == later(900)


def test_an_unknown_answer_fails_after_the_timeout() -> None:
    first = plan(view((pod(phase="Succeeded", state=ended()),), response={"status": "yield"}), NOW).status
    assert first is not None
    run = msgspec.structs.replace(task_run(RUNNING), status=first)
    own = record(response={"status": "yield"})

    following = plan(
        view_of(run, task_definition(retry=RETRIES), records=(own,), pods=(pod(phase="Succeeded", state=ended()),)),
        later(901),
    )

    assert following.status is not None
    assert (following.status.phase, following.status.reason) == ("Failed", "UnsupportedRunner")


def test_a_runner_that_is_too_old_is_ended_and_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    works = pod(phase="Running", state=running())
    assert not plan(view((works,)), NOW).actions, "version 1 is supported"
    monkeypatch.setattr(protocol, "OLDEST_RUNNER", 2)

    assert not plan(view((works,), protocol=2), NOW).actions
    action = only_action(plan(view((works,)), NOW))
    assert isinstance(action, EndPod)
    assert action.reason == "UnsupportedRunner"

    noted = {names.ANNOTATION_ENDING_SINCE: NOW.isoformat(), names.ANNOTATION_ENDING_REASON: action.reason}
    gone = pod(phase="Failed", reason="DeadlineExceeded", state=ended(143), annotations=noted)
    written = only_action(plan(view((gone,)), NOW))
    assert isinstance(written, WriteRecord)
    assert written.response.retryable is False
    assert written.response.error is not None
    assert "rebuild the image" in written.response.error.message


# --- left behind ------------------------------------------------------------------------------------------------------


def left_behind(document: dict[str, Any]) -> Any:
    message = json.dumps(document, separators=(",", ":"))
    return termination_message.answer_of(pod(phase="Failed", state=ended(1, message=message)))


@pytest.mark.parametrize("version", [None, 1, 2, 3])
def test_an_answer_that_was_left_behind_is_taken_from_every_version(version: int | None) -> None:
    stated = {} if version is None else {"protocol": version}

    answer = left_behind({"response": {"status": "done", "output": {"x": 1}}, **stated})

    assert (answer.status, answer.output) == ("done", {"x": 1})


def test_a_refusal_that_was_left_behind_stays_a_refusal() -> None:
    error = {"message": "no", "code": "PermissionError"}

    answer = left_behind({"response": {"status": "error", "error": error, "refusal": "Rejected"}, "protocol": 2})

    assert msgspec.to_builtins(answer)["refusal"] == "Rejected"


def test_an_unknown_answer_of_a_later_version_is_reported() -> None:
    answer = left_behind({"response": {"status": "yield", "to": "x"}, "protocol": protocol.VERSION + 1})

    assert (answer.status, answer.error.code, answer.retryable) == ("error", "UnsupportedRunner", False)
    assert left_behind({"response": {"status": "yield"}, "protocol": 2}) is None
