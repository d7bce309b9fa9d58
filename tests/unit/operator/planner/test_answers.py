"""What follows from an answer without a record."""

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.api import names
from podrelay.operator.plan import WriteRecord
from podrelay.operator.planner import planner
from podrelay.operator.pods import Pod
from podrelay.operator.view import View
from tests.unit.operator.builders import ago, current, pod, record, task_definition, task_run, terminated, view

DONE = {"status": "done", "message": "counted", "output": {"rows": 3}}
MESSAGE: dict[str, Any] = {"reporting": "TerminationMessage", "recordLogs": False}


def ended(answer: dict[str, Any] | None = None, name: str = "words-i1", **about: Any) -> Pod:
    state = terminated(0, ago(1), message=json.dumps(answer) if answer else "", startedAt=ago(3))
    about = {"finalizers": [names.ANSWER_FINALIZER], **about}
    return pod(
        name,
        state=state,
        phase="Succeeded",
        annotations={names.ANNOTATION_REPORTING: "TerminationMessage"},
        about=about,
    )


def seen(of: Pod, spec: dict[str, Any] | None = None, records: Any = (), **status: Any) -> View:
    known = {"phase": "Running", "reason": "IterationRunning", "startedAt": ago(5), **status}
    return view(task_run(known), task_definition(**(MESSAGE | (spec or {}))), pods=(of,), records=records)


def test_a_first_answer_that_is_final_needs_no_record_if_its_log_is_not_recorded() -> None:
    following = planner.plan(seen(ended(DONE), current=current()))

    assert following.actions == ()
    assert following.status is not None
    status = msgspec.to_builtins(following.status)
    assert (status["phase"], status["reason"], status["message"]) == ("Succeeded", "Done", "counted")
    assert following.output == {"rows": 3}
    (attempt,) = status["recentIterations"]
    assert (attempt["podName"], attempt["answer"], attempt["message"]) == ("words-i1", "done", "counted")
    assert attempt["startedAt"] < attempt["finishedAt"]


def test_a_pod_that_no_status_has_named_needs_none_either() -> None:
    following = planner.plan(seen(ended({"status": "aborted"})))

    assert following.status is not None
    assert (following.status.phase, following.status.reason) == ("Aborted", "AbortedByTask")
    assert following.status.current is not None
    assert following.status.current.pod_name == "words-i1"


@pytest.mark.parametrize(
    "case",
    [
        {"of": ended({"status": "continue"})},
        {"of": ended({"status": "error", "error": {"message": "odd"}})},
        {"of": ended()},
        {"of": ended(DONE, finalizers=[])},
        {"of": ended(DONE, "words-i2"), "lastRecord": "words-i1", "current": current("words-i2", 2)},
        {"of": ended(DONE), "spec": {"recordLogs": True}},
        {"of": ended({"status": "aborted", "error": {"message": "odd"}})},
        {"of": ended(DONE), "records": (record("words-i1", None),)},
        {
            "of": ended(DONE, "words-i1t2"),
            "records": (record("words-i1", {"status": "error"}, checkpoint={"input": {}}),),
            "current": current("words-i1t2", 1, 2),
            "attempts": 1,
        },
    ],
    ids=["continue", "error", "exit code", "not held", "second iteration", "log", "aborted", "claim", "checkpoint"],
)
def test_otherwise_the_answer_is_recorded(case: dict[str, Any]) -> None:
    following = planner.plan(seen(**{"current": current(), **case}))

    assert [type(action) for action in following.actions] == [WriteRecord]


def test_an_attempt_after_a_failed_one_needs_none_either() -> None:
    of = ended(DONE, "words-i1t2")
    failed = record("words-i1", {"status": "error"})

    following = planner.plan(seen(of, records=(failed,), current=current("words-i1t2", 1, 2), attempts=1))

    assert following.status is not None
    assert (following.status.phase, following.output) == ("Succeeded", {"rows": 3})


def test_without_its_definition_the_answer_is_recorded() -> None:
    known = replace(seen(ended(DONE), current=current()), definition=None)

    assert [type(action) for action in planner.plan(known).actions] == [WriteRecord]
