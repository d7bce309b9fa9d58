"""Answers in termination messages, and the meaning of exit codes."""

import json
from typing import Any

import msgspec
import pytest

from podrelay.api import names
from podrelay.operator.planner.termination_message import answer_of, carried_on, refused
from podrelay.operator.pods import Pod
from tests.unit.operator.builders import ago, later, pod, running, terminated

BY_MESSAGE = {names.ANNOTATION_REPORTING: "TerminationMessage"}


def ended(
    message: str | dict[str, Any] = "", code: int = 0, annotations: dict[str, str] = BY_MESSAGE, **fields: Any
) -> Pod:
    text = message if isinstance(message, str) else json.dumps(message)
    phase = fields.pop("phase", "Failed" if code else "Succeeded")
    return pod(state=terminated(code, message=text), phase=phase, annotations=annotations, **fields)


def said(pod: Pod) -> Any:
    answer = answer_of(pod)
    return msgspec.to_builtins(answer) if answer is not None else None


def code_of(pod: Pod) -> Any:
    return said(pod)["error"]["code"]


# --- reporting TerminationMessage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        {"status": "done"},
        {"status": "done", "message": "counted", "output": {"rows": 3, "none": None}},
        {"status": "continue", "input": {"row": 7}},
        {"status": "continue", "waitSeconds": 2.5},
        {"status": "continue", "waitUntil": "2026-03-01T12:00:00Z"},
        {"status": "error", "error": {"message": "odd", "code": "Odd", "data": {"row": 1}}},
        {"status": "error", "error": {"message": "no such shop"}, "retryable": False},
        {"status": "error", "error": {"message": "busy"}, "retryable": True},
        {"status": "error", "error": {"message": "busy"}, "retryAfterSeconds": 30.0},
        {"status": "aborted", "message": "enough"},
    ],
    ids=json.dumps,
)
def test_the_message_is_the_answer(answer: dict[str, Any]) -> None:
    assert said(ended(answer)) == answer


def test_exit_code_0_without_a_message_means_done() -> None:
    assert said(ended()) == {"status": "done"}
    assert said(ended(" \n")) == {"status": "done"}


def test_an_error_needs_no_more_than_a_message() -> None:
    assert said(ended({"status": "error", "message": "no luck"}))["error"] == {"message": "no luck"}
    assert said(ended({"status": "error"}))["error"] == {"message": "Task failed."}


@pytest.mark.parametrize(
    "message",
    [
        "5 rows imported",
        "{",
        "[1]",
        "null",
        "{}",
        '{"status":"fine"}',
        '{"status":"done","output":[1]}',
        '{"status":"continue","input":"x"}',
        '{"status":"continue","wait_seconds":1}',
        '{"status":"continue","waitSeconds":-1}',
        '{"status":"continue","waitSeconds":1e300}',
        '{"status":"continue","waitUntil":"tomorrow"}',
        '{"status":"continue","waitUntil":"2026-03-01T12:00:00"}',
        '{"status":"error","error":{"code":"x"}}',
        '{"status":"done","output":{"x":NaN}}',
        '{"status":"done"} {"status":"done"}',
    ],
)
def test_an_invalid_message_is_an_error_that_shows_it(message: str) -> None:
    error = said(ended(message))["error"]

    assert error["code"] == "InvalidAnswer"
    assert message[:60] in error["message"]


def test_a_number_that_64_bits_cannot_hold_is_refused_by_its_path() -> None:
    error = said(ended('{"status":"done","output":{"a":[1180591620717411303424]}}'))["error"]

    assert (error["code"], "output.a[0]" in error["message"]) == ("PayloadRefused", True)


def test_a_message_that_the_kubelet_has_cut_is_an_error_that_says_so() -> None:
    error = said(ended(json.dumps({"status": "done", "output": {"text": "x" * 5000}})[:4096]))["error"]

    assert error["code"] == "AnswerCut"
    assert "4096 bytes" in error["message"]


def test_several_containers_share_the_size_that_the_kubelet_accepts() -> None:
    inits = [{"name": f"init-{number}", "state": terminated()} for number in range(5)]
    message = json.dumps({"status": "done", "output": {"text": "x" * 5000}})[:2048]

    assert code_of(ended(message, initContainerStatuses=inits)) == "AnswerCut"


def test_a_non_zero_exit_code_is_a_failure_regardless_of_the_message() -> None:
    assert said(ended({"status": "done"}, code=3)) is None
    assert said(ended("no luck", code=3)) is None


def test_but_an_error_may_be_described() -> None:
    described = {"status": "error", "error": {"message": "odd", "code": "Odd"}}

    assert said(ended(described, code=3)) == described


def test_a_container_that_never_ran_has_said_nothing() -> None:
    never = pod(state={"terminated": {"exitCode": 0}}, phase="Failed", annotations=BY_MESSAGE)

    assert said(never) is None
    assert said(pod(state=running(), phase="Running", annotations=BY_MESSAGE)) is None


@pytest.mark.parametrize(
    "stopped",
    [
        {"annotations": {**BY_MESSAGE, names.ANNOTATION_ENDING_SINCE: ago(5).isoformat()}},
        {"phase": "Failed", "reason": "DeadlineExceeded"},
        {"phase": "Failed", "reason": "Evicted"},
        {"about": {"deletionTimestamp": later(50), "deletionGracePeriodSeconds": 60}},
    ],
    ids=["ended by the operator", "deadline", "eviction", "deletion"],
)
def test_an_end_after_sigterm_without_a_message_is_not_done(stopped: dict[str, Any]) -> None:
    assert said(ended(**stopped)) is None
    assert said(ended({"status": "continue"}, **stopped)) == {"status": "continue"}
    assert said(ended({"status": "error", "error": {"message": "stopped"}}, code=1, **stopped)) is None


def test_a_container_that_ended_before_its_pod_was_deleted_is_done() -> None:
    assert said(ended(about={"deletionTimestamp": later(61), "deletionGracePeriodSeconds": 60})) == {"status": "done"}


# --- reporting API ----------------------------------------------------------------------------------------------------


def left_behind(text: str, **fields: Any) -> Any:
    return said(ended(text, code=1, annotations={}, **fields))


def test_an_answer_that_the_runner_left_behind_is_the_answer() -> None:
    answer = {"status": "done", "message": "counted", "output": {"rows": 3, "none": None}}

    assert left_behind(json.dumps({"response": answer}, separators=(",", ":"))) == answer
    assert left_behind(json.dumps({"response": answer}, separators=(",", ":")), reason="Evicted") == answer


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Killed",
        '{"status":"done"}',
        '{"response":',
        '{"response":"done"}',
        '{"response":{}}',
        '{"response":{"status":"fine"}}',
        '{"response":{"status":"done","output":[1]}}',
        '{"response":{"status":"continue","input":"x"}}',
        '{"response":{"status":"continue","waitSeconds":-1}}',
        '{"response":{"status":"continue","waitSeconds":1e300}}',
        '{"response":{"status":"continue","waitUntil":"tomorrow"}}',
        '{"response":{"status":"error","error":{"code":"x"}}}',
        '{"response":{"status":"error","error":{"message":"m","data":[]}}}',
        '{"response":{"status":"error","error":{"message":"m","code":"' + "x" * 300 + '"}}}',
    ],
)
def test_anything_else_is_not(message: str) -> None:
    assert left_behind(message) is None


# --- state that is kept -----------------------------------------------------------------------------------------------


def test_a_continue_keeps_input_and_output() -> None:
    answer = answer_of(ended({"status": "continue", "input": {"row": 7}}))
    assert answer is not None

    whole = carried_on(answer, {"url": "a", "row": 0}, {"rows": 7})

    assert (whole.input, whole.output) == ({"url": "a", "row": 7}, {"rows": 7})


def test_a_refusal_is_no_longer_than_a_message_may_be() -> None:
    error = refused("x" * 10_000, "InvalidAnswer").error
    assert error is not None

    assert len(error.message) == 4096
