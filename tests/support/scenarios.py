"""Scenarios: the behaviour of a task, actions of users, and the outcome. Each is written once and run in two worlds.

`tests/unit/local/test_scenarios.py` runs each scenario with `podrelay.testing.run_task`, in virtual time;
`tests/integration/test_scenarios.py` runs it on a real API server, with pods. This keeps the two, and docs/parity.md,
which names the scenarios, consistent.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from podrelay import TaskDefinition
from podrelay.api import limits
from tests.support import scenario_tasks as tasks
from tests.support.outcomes import Evidence, Object, Outcome


@dataclass(frozen=True)
class Abort:
    """A user aborts the run while its status shows `reason`; `waits` is true if it has no pod then."""

    reason: str
    message: str = ""
    waits: bool = True


@dataclass(frozen=True)
class Sent:
    """A signal.

    Attributes:
        name: name of the signal.
        payload: its data.
        early: whether it is sent right after the run was created, not while the run waits for signals.
        key: name of the TaskSignal; default: different for each.
        decision: Approve or Reject.
    """

    name: str
    payload: Object | None = None
    early: bool = False
    key: str | None = None
    decision: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A run.

    Attributes:
        name: the name of the TaskRun.
        task: its class.
        input: its input.
        expected: its outcome.
        spec: further fields of its spec.
        children: classes of its children.
        meanwhile: an action of a user.
        signals: signals that users send.
        shows: the phase and reason that can be observed meanwhile, if pods take real time.
        check: checks what is not in an Outcome.
        unlike: fields of the outcome in which the two worlds differ, with the values in a cluster.
    """

    name: str
    task: type[TaskDefinition]
    input: Object
    expected: Outcome
    spec: Object = field(default_factory=dict)
    children: tuple[type[TaskDefinition], ...] = ()
    meanwhile: Abort | None = None
    signals: tuple[Sent, ...] = ()
    shows: tuple[str, str] | None = None
    check: Callable[[Evidence], None] = lambda _evidence: None
    unlike: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Refusal:
    """A run that is not even created.

    Attributes:
        name: the name of the TaskRun.
        task: its class.
        spec: further fields of its spec.
        words: a part of the message.
    """

    name: str
    task: type[TaskDefinition]
    spec: Object
    words: str


# --- further checks ---------------------------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def pauses(evidence: Evidence) -> list[float]:
    """Return the seconds between the attempts."""
    return [
        (moment(after["startedAt"]) - moment(before["finishedAt"])).total_seconds()
        for before, after in pairwise(evidence.records)
    ]


def waits(seconds: float, *, at_least: float | None = None) -> Callable[[Evidence], None]:
    """Return a check that the first answer requests a wait (approximate, if it has a date), and that the run waits."""

    def check(evidence: Evidence) -> None:
        asked = evidence.records[0]["response"]["waitSeconds"]
        assert (at_least or seconds) <= asked <= seconds
        assert all(pause >= asked for pause in pauses(evidence))

    return check


def does_not_wait(evidence: Evidence) -> None:
    assert "waitSeconds" not in evidence.records[0]["response"]


def is_retried_after(seconds: float) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        assert pauses(evidence)
        assert all(pause >= seconds for pause in pauses(evidence))

    return check


def first_pause_is(seconds: float) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        assert seconds <= pauses(evidence)[0] < seconds + 8  # by default it would be 10

    return check


def ends_soon(evidence: Evidence) -> None:
    """Check that the run has finished with its last answer, without waiting for anything else."""
    answered = moment(evidence.records[-1]["finishedAt"])
    assert (moment(evidence.run["status"]["finishedAt"]) - answered).total_seconds() < 15


def starts_after(seconds: float) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        created = moment(evidence.run["metadata"]["creationTimestamp"])
        assert (moment(evidence.records[0]["startedAt"]) - created).total_seconds() >= seconds

    return check


def log_has(number: int, **wanted: Any) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        line = evidence.records[0]["logs"][number]
        assert {key: line.get(key) for key in wanted} == wanted

    return check


def names_invalid_fields(*paths: str) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        error = evidence.run["status"]["error"]
        assert error["code"] == "VALIDATION_FAILED_INVALID_FIELDS"
        assert set(error["data"]["invalidFields"]) == set(paths)

    return check


def children_one_after_the_other(evidence: Evidence) -> None:
    works = sorted(
        (record["startedAt"], record["finishedAt"]) for child in evidence.children for record in child.records
    )
    assert len(works) == len(evidence.children) > 1
    assert all(moment(before[1]) <= moment(after[0]) for before, after in pairwise(works))


def children_of_a_customer_one_after_the_other(evidence: Evidence) -> None:
    of_acme = [child for child in evidence.children if child.run["spec"]["input"]["customer"]["id"] == "acme"]
    children_one_after_the_other(evidence._replace(children=tuple(of_acme)))


def stored_input_is(wanted: Object) -> Callable[[Evidence], None]:
    def check(evidence: Evidence) -> None:
        assert evidence.records[0]["response"]["input"] == wanted

    return check


# --- common parts -----------------------------------------------------------------------------------------------------

TWO = ("i1 continue", "i2 done")
SHOP_ERROR = {"message": "the shop is closed", "code": "E_SHOP", "data": {"shop": 3}}
MAX_ITERATIONS = "Task reached max iterations."
SILENCE = "no heartbeat for 5 s; call controller.heartbeat() more often, or raise heartbeatTimeoutSeconds"
NOT_ALLOWED = (
    "runs of strict are not allowed to start runs of scripted; add scripted to spec.triggers of TaskDefinition strict"
)


def too_large(what: str) -> str:
    return (
        f"{what} has 300011 bytes as JSON, the limit is 262144; keep large data in separate storage and pass a "
        "reference"
    )


def invalid(**fields: tuple[str, str]) -> Object:
    """Return the error of an invalid input, from the code and message of each field."""
    return {
        "message": "Validation failed.",
        "code": "VALIDATION_FAILED_INVALID_FIELDS",
        "data": {
            "invalidFields": {
                path: {"code": code, "message": message, "data": {"path": path.split(".")}}
                for path, (code, message) in fields.items()
            }
        },
    }


def scripted(name: str, *answers: list[Any], **more: Any) -> Scenario:
    """Return a run of a task with scripted answers."""
    return Scenario(name, tasks.Scripted, {"answers": list(answers)}, **more)


def handover(
    name: str, following: Object, when: Object, check: Callable[[Evidence], None], input: Object | None = None
) -> Scenario:
    """Return a run of two iterations; `following` is the argument of the first one's continue."""
    given = {"next": following, "when": when, **(input or {})}
    left = following if when.get("replace") else {**given, **following}
    output = {"input": left, "task": "running"}
    return Scenario(
        name, tasks.Handover, given, Outcome("Succeeded", "Done", "Task done.", 2, output, tries=TWO), check=check
    )


def tidy(name: str, task: type[TaskDefinition], end: str, *, is_deleted: bool) -> Scenario:
    """Return a run that starts a child and ends in some way. If it is deleted, its child has usually not started."""
    phase, reason, message, log = {
        "done": ("Succeeded", "Done", "Task done.", ()),
        "error": ("Failed", "TaskFailed", "no", ("error no",)),
        "aborted": ("Aborted", "AbortedByTask", "Task aborted.", ("info Task aborted.",)),
    }[end]
    start: Object = {"definition": "untidy", "input": {"start": [child("scripted")], "end": "done"}}
    leaves = is_deleted and end != "aborted"  # a child of an aborted parent fails if it has not started
    if leaves:
        start["delay"] = tasks.LONG
    outcome = Outcome(
        phase,
        reason,
        message,
        2,
        error={"message": "no"} if end == "error" else None,
        tries=("i1 continue", f"i2 {end}"),
        logs=log,
        hooks=("onDone Succeeded",) if end == "done" else (),
        children=("untidy Pending",) if leaves else ("untidy Succeeded",),
        is_deleted=is_deleted,
    )
    return Scenario(
        name,
        task,
        {"start": [start], "end": end, "leaves": leaves},
        outcome,
        children=(tasks.Untidy, tasks.Scripted),
        check=ends_soon,
    )


def waiter(name: str, wait: Object, *signals: Sent, found: Object, **more: Any) -> Scenario:
    """Return a run that waits once; its second iteration returns what it found."""
    expected = Outcome("Succeeded", "Done", "Task done.", 2, {"2": found}, tries=TWO)
    return Scenario(name, tasks.Waiter, {"waits": [wait]}, expected, signals=signals, **more)


def child(definition: str, *answer: Any, **more: Any) -> Object:
    """Return the input of a parent for a child that answers immediately."""
    return {"definition": definition, "input": {"answers": [list(answer) or ["done", []]]}, **more}


# --- the scenarios ----------------------------------------------------------------------------------------------------

ANSWERS = (
    scripted("done", ["done", []], expected=Outcome("Succeeded", "Done", "Task done.")),
    scripted(
        "done-output",
        ["done", [{"rows": 3}]],
        expected=Outcome("Succeeded", "Done", "Task done.", 1, {"rows": 3}),
    ),
    scripted("done-message", ["done", ["imported"]], expected=Outcome("Succeeded", "Done", "imported")),
    scripted(
        "done-message-output",
        ["done", ["imported", {"rows": 3}]],
        expected=Outcome("Succeeded", "Done", "imported", 1, {"rows": 3}),
    ),
    Scenario("returns-nothing", tasks.Returning, {}, Outcome("Succeeded", "Done", "Task done.")),
    Scenario(
        "returns-an-object",
        tasks.Returning,
        {"value": {"rows": 3}},
        Outcome("Succeeded", "Done", "Task done.", 1, {"rows": 3}),
    ),
    Scenario("keeps-its-output", tasks.Keeping, {}, Outcome("Succeeded", "Done", "kept", 1, {"rows": 1})),
    scripted(
        "error-text",
        ["error", ["no such file"]],
        expected=Outcome(
            "Failed",
            "TaskFailed",
            "no such file",
            error={"message": "no such file"},
            tries=("i1 error",),
            logs=("error no such file",),
        ),
    ),
    scripted(
        "error-object",
        ["error", [{"message": "no such file", "code": "E1", "data": {"path": "/x"}}]],
        expected=Outcome(
            "Failed",
            "TaskFailed",
            "no such file",
            error={"message": "no such file", "code": "E1", "data": {"path": "/x"}},
            tries=("i1 error",),
            logs=("error no such file",),
        ),
    ),
    *(
        Scenario(
            name,
            tasks.Failing,
            {"how": how},
            Outcome(
                "Failed",
                "TaskFailed",
                "the shop is closed",
                1,
                {"rows": 1},
                SHOP_ERROR,
                tries=("i1 error",),
                logs=("error the shop is closed",),
            ),
        )
        for name, how in (("error-exception", "return"), ("exception", "raise"))
    ),
    scripted(
        "aborted-by-itself",
        ["aborted", []],
        expected=Outcome(
            "Aborted", "AbortedByTask", "Task aborted.", tries=("i1 aborted",), logs=("info Task aborted.",)
        ),
    ),
)

HANDOVERS = (
    handover("continue", {"a": 2, "b": {"y": 2}}, {}, does_not_wait, {"a": 1, "b": {"x": 1}, "c": 3}),
    handover("continue-replace", {"a": 2}, {"replace": True}, does_not_wait, {"b": 1}),
    handover("continue-seconds", {}, {"seconds": 1.5}, waits(1.5)),
    handover("continue-date", {}, {"date": 2.5}, waits(2.5, at_least=1)),
    handover("continue-seconds-and-date", {}, {"seconds": 1, "date": 3600}, waits(1)),
    handover("continue-below-a-second", {}, {"seconds": 0.999}, does_not_wait),
    handover("continue-in-the-past", {}, {"date": -60}, does_not_wait),
    Scenario(
        "continue-clamped",
        tasks.Handover,
        {"next": {}, "when": {"seconds": 40_000_000}},
        Outcome("Aborted", "Aborted", "Task aborted.", tries=("i1 continue",)),
        meanwhile=Abort("Waiting"),
        shows=("Running", "Waiting"),
        check=waits(limits.MAX_WAIT_SECONDS),
    ),
    scripted(
        "iterations-are-counted",
        ["continue_", []],
        ["continue_", []],
        ["done", []],
        expected=Outcome("Succeeded", "Done", "Task done.", 3, tries=("i1 continue", "i2 continue", "i3 done")),
    ),
    Scenario(
        "max-iterations",
        tasks.Endless,
        {},
        Outcome(
            "Failed",
            "MaxIterations",
            MAX_ITERATIONS,
            2,
            error={"message": MAX_ITERATIONS, "code": "MaxIterations"},
            tries=("i1 continue", "i2 continue"),
        ),
    ),
    Scenario(
        "delay",
        tasks.Returning,
        {},
        Outcome("Succeeded", "Done", "Task done."),
        spec={"delaySeconds": 5},  # long enough that a busy machine shows it
        shows=("Pending", "Delayed"),
        check=starts_after(2),
    ),
    Scenario(
        "continue-too-large",
        tasks.Failing,
        {"how": "continue"},
        Outcome(
            "Failed",
            "TaskFailed",
            too_large("input"),
            1,
            {"rows": 1},
            {"message": too_large("input"), "code": "PayloadRefused"},
            tries=("i1 error",),
            logs=(f"error {too_large('input')}",),
        ),
    ),
    Scenario(
        "error-too-large",
        tasks.Failing,
        {"how": "large"},
        Outcome(
            "Failed",
            "TaskFailed",
            "no",
            1,
            {"rows": 1},
            {"message": "no", "data": {"refused": too_large("error.data")}},
            tries=("i1 error",),
            logs=("error no",),
        ),
    ),
)

CONTROLLER = (
    Scenario(
        "state",
        tasks.Stateful,
        {"x": 1, "y": {"old": 1}},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {
                "task": ["stateful", "Display name", 2, None, "running"],
                "status": "running",
                "input": {"x": 1, "y": {"new": 2}, "z": 3},
                "output": {"b": 2},
            },
            tries=TWO,
        ),
        spec={"displayName": "Display name"},
    ),
    Scenario(
        "logs",
        tasks.Loud,
        {},
        Outcome("Succeeded", "Done", "Task done.", logs=("info begun", "error odd", "info done")),
        check=log_has(1, data={"row": 2}, error={"message": "no such row", "code": "E_SHOP", "data": {"shop": 3}}),
    ),
    Scenario("logs-off", tasks.Quiet, {}, Outcome("Succeeded", "Done", "Task done.")),
    *(
        Scenario(
            name,
            task,
            {},
            Outcome(
                "Succeeded",
                "Done",
                "Task done.",
                1,
                {
                    "aborted": False,
                    "close": is_close,
                    "close to 1000 s": True,
                    "about 15 minutes": True,
                    "whole numbers": True,
                    "milliseconds": True,
                },
            ),
        )
        for name, task, is_close in (("time", tasks.Timed, False), ("time-by-variable", tasks.TimedByVariable, True))
    ),
    Scenario(
        "sliced",
        tasks.Sliced,
        {},
        Outcome("Succeeded", "Done", "Task done.", 2, {"sliced": True}, tries=TWO),
    ),
)

INPUTS = (
    Scenario(
        "defaults",
        tasks.Typed,
        {"cursor": 7, "more": None, "next": {"cursor": 8}},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {
                "typed": {"cursor": 8, "size": 10},
                "stored": {"cursor": 8, "size": 10, "more": None, "next": {"cursor": 8}},
            },
            tries=TWO,
        ),
        check=stored_input_is({"cursor": 8, "size": 10, "more": None, "next": {"cursor": 8}}),
    ),
    Scenario(
        "invalid-by-schema",
        tasks.Typed,
        {"size": "ten"},
        Outcome(
            "Failed",
            "InvalidInput",
            'Validation failed. cursor: Field required; size: the value is not of type "integer"',
            0,
            error=invalid(
                cursor=("missing", "Field required"),
                size=("type", 'the value is not of type "integer"'),
            ),
            tries=(),
        ),
        # Without a cluster there is no check before the pod; the pod's own check has other messages for the same
        # errors.
        unlike=frozenset({"message", "error", "tries", "logs"}),
        check=names_invalid_fields("cursor", "size"),
    ),
    Scenario(
        "invalid-in-the-pod",
        tasks.Ruled,
        {"number": 3},
        Outcome(
            "Failed",
            "InvalidInput",
            "Validation failed. input: Value error, the number is odd",
            0,
            error={
                **invalid(),
                "data": {
                    "invalidFields": {
                        "": {"code": "value_error", "message": "Value error, the number is odd", "data": {"path": []}}
                    }
                },
            },
            tries=("i1 error",),
            logs=("error Validation failed. input: Value error, the number is odd",),
        ),
    ),
    *(
        Scenario(
            name,
            tasks.Typed,
            {"cursor": 7, **given},
            Outcome(
                "Failed",
                "TaskFailed",
                "Validation failed. size: Input should be greater than 0",
                error=invalid(size=("greater_than", "Input should be greater than 0")),
                tries=("i1 error",),
                logs=("error Validation failed. size: Input should be greater than 0",),
            ),
        )
        for name, given in (
            ("continue-with-what-does-not-fit", {"next": {"size": 0}}),
            ("update-with-what-does-not-fit", {"update": {"size": 0}}),
        )
    ),
)

HOOKS = (
    Scenario(
        "hooks-that-do-nothing",
        tasks.Obliging,
        {},
        Outcome("Succeeded", "Done", "Task done.", hooks=("onBeforeTrigger Succeeded", "onDone Succeeded")),
    ),
    Scenario(
        "hook-refuses",
        tasks.Hooked,
        {"refuse": True},
        Outcome(
            "Failed",
            "Rejected",
            "refused: hooked, Display name, {'refuse': True}, None",
            0,
            error={"message": "refused: hooked, Display name, {'refuse': True}, None", "code": "PermissionError"},
            tries=("i1 error",),
            logs=("error refused: hooked, Display name, {'refuse': True}, None",),
            hooks=("onBeforeTrigger Failed refused: hooked, Display name, {'refuse': True}, None",),
        ),
        spec={"displayName": "Display name"},
    ),
    Scenario(
        "hook-after-validation",
        tasks.Picky,
        {"cursor": 1},
        Outcome(
            "Failed",
            "Rejected",
            "not today: picky {'cursor': 1, 'url': 'none'}",
            0,
            error={"message": "not today: picky {'cursor': 1, 'url': 'none'}", "code": "PermissionError"},
            tries=("i1 error",),
            logs=("error not today: picky {'cursor': 1, 'url': 'none'}",),
            hooks=("onBeforeTrigger Failed not today: picky {'cursor': 1, 'url': 'none'}",),
        ),
    ),
    Scenario(
        "hook-done",
        tasks.Hooked,
        {"how": "done"},
        Outcome(
            "Succeeded",
            "Done",
            "worked",
            1,
            {"rows": 3},
            logs=("info run",),
            hooks=("onBeforeTrigger Succeeded", "onDone Failed HookSaidError: success {'rows': 3}"),
        ),
    ),
    Scenario(
        "hook-error",
        tasks.Hooked,
        {"how": "raise"},
        Outcome(
            "Failed",
            "TaskFailed",
            "the shop is closed",
            error=SHOP_ERROR,
            tries=("i1 error",),
            logs=("info run", "error the shop is closed"),
            hooks=("onBeforeTrigger Succeeded", "onError Failed HookSaidError: failed 1 the shop is closed"),
        ),
    ),
    Scenario(
        "hook-max-iterations",
        tasks.Hooked,
        {"how": "continue"},
        Outcome(
            "Failed",
            "MaxIterations",
            MAX_ITERATIONS,
            2,
            error={"message": MAX_ITERATIONS, "code": "MaxIterations"},
            tries=("i1 continue", "i2 continue"),
            logs=("info run", "info run"),
            hooks=(
                "onBeforeTrigger Succeeded",
                "onMaxIterations Failed HookSaidError: failed 2",
                f"onError Failed HookSaidError: failed 2 {MAX_ITERATIONS}",
            ),
        ),
    ),
    Scenario(
        "hook-aborted-by-itself",
        tasks.Hooked,
        {"how": "aborted"},
        Outcome(
            "Aborted",
            "AbortedByTask",
            "enough of it",
            tries=("i1 aborted",),
            logs=("info run", "info enough of it"),
            hooks=("onBeforeTrigger Succeeded", "onAbort Failed HookSaidError: aborted enough of it"),
        ),
    ),
    Scenario(
        "hook-abort",
        tasks.Hooked,
        {"how": "work"},
        Outcome(
            "Aborted",
            "Aborted",
            "wrong file",
            1,
            {"cleaned": True},
            tries=("i1 aborted",),
            logs=("info run", "info wrong file"),
            hooks=("onBeforeTrigger Succeeded", "onAbort Failed HookSaidError: aborted wrong file"),
        ),
        meanwhile=Abort("IterationRunning", "wrong file", waits=False),
    ),
    Scenario(
        "hook-abort-while-waiting",
        tasks.Hooked,
        {"how": "continue", "seconds": tasks.LONG},
        Outcome(
            "Aborted",
            "Aborted",
            "wrong file",
            tries=("i1 continue",),
            logs=("info run",),
            hooks=("onBeforeTrigger Succeeded", "onAbort Failed HookSaidError: aborted wrong file"),
        ),
        meanwhile=Abort("Waiting", "wrong file"),
    ),
)

ABORTS = (
    Scenario(
        "abort-while-it-works",
        tasks.Working,
        {"how": "listen"},
        Outcome(
            "Aborted",
            "Aborted",
            "wrong file",
            1,
            {"cleaned": True},
            tries=("i1 aborted",),
            logs=("info wrong file",),
        ),
        meanwhile=Abort("IterationRunning", "wrong file", waits=False),
    ),
    *(
        Scenario(
            f"abort-that-is-answered-{name}",
            tasks.Working,
            {"how": how},
            Outcome("Aborted", "Aborted", "Task aborted.", 1, output, tries=(f"i1 {answer}",), logs=logs),
            meanwhile=Abort("IterationRunning", waits=False),
        )
        for name, how, answer, output, logs in (
            ("done", "done", "done", {"more": 1}, ()),
            ("continue", "continue_", "continue", {"cleaned": True}, ()),
        )
    ),
    Scenario(
        "abort-while-waiting",
        tasks.Handover,
        {"next": {}, "when": {"seconds": tasks.LONG}},
        Outcome("Aborted", "Aborted", "wrong file", tries=("i1 continue",)),
        meanwhile=Abort("Waiting", "wrong file"),
        shows=("Running", "Waiting"),
    ),
    Scenario(
        "abort-while-delayed",
        tasks.Returning,
        {},
        Outcome("Aborted", "Aborted", "Task aborted.", 0, tries=()),
        spec={"delaySeconds": tasks.LONG},
        meanwhile=Abort("Delayed"),
        shows=("Pending", "Delayed"),
    ),
    Scenario(
        "abort-while-suspended",
        tasks.Returning,
        {},
        Outcome("Aborted", "Aborted", "Task aborted.", 0, tries=()),
        spec={"suspend": True},
        meanwhile=Abort("Suspended"),
        shows=("Pending", "Suspended"),
    ),
)

TRIES = (
    Scenario(
        "retry-after",
        tasks.Moody,
        {"how": "retry"},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            1,
            {"tries": 2, "saved": 1},
            tries=("i1 error", "i1t2 done"),
            attempts=1,
            logs=("error busy",),
        ),
        check=is_retried_after(2),
    ),
    Scenario(
        "not-retried",
        tasks.Moody,
        {"how": "raise"},
        Outcome(
            "Failed",
            "TaskFailed",
            "final: True",
            error={"message": "final: True", "code": "ValueError"},
            tries=("i1 error",),
            logs=("error final: True",),
        ),
    ),
    Scenario(
        "fatal",
        tasks.Persistent,
        {"how": "fatal"},
        Outcome(
            "Failed",
            "TaskFailed",
            "no such shop",
            error={"message": "no such shop", "code": "Fatal", "data": {"shop": 3}},
            tries=("i1 error",),
            logs=("error no such shop",),
        ),
    ),
    Scenario(
        "retried-until-it-works",
        tasks.Persistent,
        {"how": "raise", "failures": 2},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            1,
            {"tries": 3, "saved": 2},
            tries=("i1 error", "i1t2 error", "i1t3 done"),
            attempts=2,
            logs=("error final: False", "error final: False"),
        ),
        check=is_retried_after(1),
    ),
    Scenario(
        "retried-in-vain",
        tasks.Persistent,
        {"how": "raise", "failures": 3},
        Outcome(
            "Failed",
            "TaskFailed",
            "final: True",
            error={"message": "final: True", "code": "ValueError"},
            tries=("i1 error", "i1t2 error", "i1t3 error"),
            attempts=2,
            logs=("error final: False", "error final: False", "error final: True"),
        ),
    ),
    Scenario(
        "overtime",
        tasks.Overtime,
        {},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            1,
            {"began with": 1},
            tries=("i1 error", "i1t2 done"),
            attempts=1,
        ),
    ),
    Scenario(
        "silent",
        tasks.Silent,
        {},
        Outcome(
            "Failed",
            "HeartbeatTimeout",
            SILENCE,
            error={"message": SILENCE, "code": "HeartbeatTimeout"},
            tries=("i1 error",),
        ),
    ),
    Scenario("beating", tasks.Beating, {}, Outcome("Succeeded", "Done", "Task done.")),
)

FAMILIES = (
    Scenario(
        "family",
        tasks.Parent,
        {
            "start": [
                child("scripted", "done", [{"rows": 3}], name="First"),
                child("scripted", "error", ["no"]),
                child("scripted", "aborted", [], delay=1),
                child("returning"),
            ]
        },
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {
                "mine": True,
                "all": [
                    "returning - success",
                    "scripted - aborted",
                    "scripted - failed no",
                    "scripted First success {'rows': 3}",
                ],
                "scripted": [
                    "scripted - aborted",
                    "scripted - failed no",
                    "scripted First success {'rows': 3}",
                ],
            },
            tries=TWO,
            children=("returning Succeeded", "scripted Aborted", "scripted Failed", "scripted Succeeded"),
        ),
        children=(tasks.Scripted, tasks.Returning),
        shows=("Running", "WaitingForChildren"),
    ),
    Scenario(
        "childless",
        tasks.Parent,
        {"start": []},
        Outcome("Succeeded", "Done", "Task done.", 2, {"mine": True, "all": [], "scripted": []}, tries=TWO),
    ),
    Scenario(
        "family-not-allowed",
        tasks.Strict,
        {"start": [child("scripted")]},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {
                "mine": True,
                "all": [f"scripted - failed {NOT_ALLOWED}"],
                "scripted": [f"scripted - failed {NOT_ALLOWED}"],
            },
            tries=TWO,
            children=("scripted Failed",),
        ),
        children=(tasks.Scripted,),
    ),
    *(
        Scenario(
            name,
            tasks.Parent,
            {
                "start": [
                    {"definition": definition, "input": {"customer": {"id": customer}}, "key": str(number)}
                    for number, customer in enumerate(("acme", "other", "acme"))
                ]
            },
            Outcome(
                "Succeeded",
                "Done",
                "Task done.",
                2,
                {"mine": True, "all": [f"{definition} - success"] * 3, "scripted": []},
                tries=TWO,
                children=(f"{definition} Succeeded",) * 3,
            ),
            children=(task,),
            check=check,
        )
        for name, definition, task, check in (
            ("limit", "solo", tasks.Solo, children_one_after_the_other),
            (
                "limit-by-value",
                "solo-for-customer",
                tasks.SoloForCustomer,
                children_of_a_customer_one_after_the_other,
            ),
        )
    ),
)

CLEANUPS = (
    tidy("tidy-never", tasks.Untidy, "done", is_deleted=False),
    tidy("tidy-always-done", tasks.Tidy, "done", is_deleted=True),
    tidy("tidy-always-error", tasks.Tidy, "error", is_deleted=True),
    tidy("tidy-always-aborted", tasks.Tidy, "aborted", is_deleted=True),
    tidy("tidy-success-done", tasks.TidyOnSuccess, "done", is_deleted=True),
    tidy("tidy-success-error", tasks.TidyOnSuccess, "error", is_deleted=False),
    tidy("tidy-error-error", tasks.TidyOnError, "error", is_deleted=True),
    tidy("tidy-error-done", tasks.TidyOnError, "done", is_deleted=False),
    tidy("tidy-abort-aborted", tasks.TidyOnAbort, "aborted", is_deleted=True),
    tidy("tidy-abort-done", tasks.TidyOnAbort, "done", is_deleted=False),
    tidy("tidy-two-error", tasks.TidyOnTwo, "error", is_deleted=True),
    tidy("tidy-two-aborted", tasks.TidyOnTwo, "aborted", is_deleted=False),
    Scenario("short-lived", tasks.ShortLived, {}, Outcome("Succeeded", "Done", "Task done.", is_deleted=True)),
)

OVERRIDES = (
    Scenario(
        "overrides",
        tasks.Overridable,
        {},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {"colour": "$(HOME) red"},
            tries=("i1 error", "i1t2 continue", "i2 done"),
            logs=("error not yet",),
        ),
        spec={
            "overrides": {
                "maxIterations": 2,
                "retry": {"limit": 1, "initialSeconds": 1},
                "timeouts": {"iterationTimeoutSeconds": 600},
                "env": [{"name": "SHOP_COLOUR", "value": "$(HOME) red"}],
            }
        },
        check=first_pause_is(1),
    ),
    Scenario(
        "no-overrides",
        tasks.Overridable,
        {},
        Outcome(
            "Failed",
            "TaskFailed",
            "not yet",
            error={"message": "not yet"},
            tries=("i1 error",),
            logs=("error not yet",),
        ),
    ),
)

REFUSALS = (
    Refusal(
        "overrides-refused",
        tasks.Overridable,
        {"overrides": {"maxIterations": 2, "nodeSelector": {"disk": "ssd"}, "env": [{"name": "PATH", "value": "/"}]}},
        "spec.overrides has nodeSelector, env.PATH, but TaskDefinition overridable allows maxIterations, retry, "
        "timeouts, env.SHOP_COLOUR; its author can add them to spec.allowOverrides",
    ),
    Refusal(
        "overrides-of-none",
        tasks.Scripted,
        {"overrides": {"retry": {"limit": 1}}},
        "spec.overrides has retry, but TaskDefinition scripted allows none; its author can add them to "
        "spec.allowOverrides",
    ),
    Refusal(
        "overrides-of-the-runner",
        tasks.Overridable,
        {"overrides": {"env": [{"name": "PODRELAY_RUN", "value": "other"}]}},
        "names that begin with PODRELAY_ or KUBERNETES_ are reserved",
    ),
)

SIGNALS = (
    waiter(
        "signal-before-the-wait",
        {"signal": "payment"},
        Sent("payment", {"amount": 3}, early=True),
        found={"got": ["payment 3"], "waiting": []},
    ),
    waiter(
        "signal-ends-the-wait",
        {"signal": "payment", "seconds": tasks.LONG},
        Sent("payment", {"amount": 3}),
        found={"got": ["payment 3"], "waiting": []},
        shows=("Running", "WaitingForSignal"),
    ),
    waiter("signal-timeout", {"signal": "payment", "seconds": 2}, found={"got": [], "waiting": [], "timedOut": True}),
    waiter(
        "signal-count",
        {"signal": ["payment", "note"], "count": 2},
        Sent("payment", {"amount": 3}),
        Sent("note"),
        found={"got": ["payment 3", "note"], "waiting": []},
    ),
    waiter(
        "signal-of-another-name",
        {"signal": "payment", "seconds": 5},
        Sent("note", early=True),
        found={"got": [], "waiting": ["note"], "timedOut": True},
    ),
    waiter(
        "signal-sent-twice",
        {"signal": "note", "count": 2, "seconds": 5},
        Sent("note", key="note-twice", early=True),
        Sent("note", key="note-twice", early=True),
        found={"got": ["note"], "waiting": [], "timedOut": True},
    ),
    waiter(
        "signal-with-an-invalid-payload",
        {"signal": "payment", "seconds": tasks.LONG},
        Sent("payment", {"amount": "much"}, early=True),
        Sent("payment", {"amount": 4}),
        found={"got": ["payment 4"], "waiting": []},
    ),
    Scenario(
        "signal-again-after-an-error",
        tasks.Waiter,
        {"waits": [{"signal": "payment"}], "fails": True},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {"2": {"got": ["payment 3"], "waiting": []}},
            tries=("i1 continue", "i2 error", "i2t2 done"),
            attempts=1,
            logs=("error has payment 3",),
        ),
        signals=(Sent("payment", {"amount": 3}),),
    ),
    Scenario(
        "signals-for-two-waits",
        tasks.Waiter,
        {"waits": [{"signal": "payment"}, {"signal": "note"}]},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            3,
            {"2": {"got": ["payment 3"], "waiting": ["note"]}, "3": {"got": ["note"], "waiting": []}},
            tries=("i1 continue", "i2 continue", "i3 done"),
        ),
        signals=(Sent("note", early=True), Sent("payment", {"amount": 3})),
    ),
    waiter(
        "signal-approval",
        {"signal": "release"},
        Sent("release", decision="Approve"),
        found={"got": ["release"], "waiting": [], "approved": True},
    ),
    waiter(
        "signal-rejection",
        {"signal": "release"},
        Sent("release", decision="Reject"),
        found={"got": ["release"], "waiting": [], "approved": False},
    ),
    Scenario(
        "signal-or-children",
        tasks.Waiter,
        {"waits": [{"signal": "payment", "or_children": True}], "child": True},
        Outcome(
            "Succeeded",
            "Done",
            "Task done.",
            2,
            {"2": {"got": [], "waiting": []}},
            tries=TWO,
            children=("scripted Succeeded",),
        ),
        children=(tasks.Scripted,),
    ),
    Scenario(
        "abort-while-it-waits-for-a-signal",
        tasks.Waiter,
        {"waits": [{"signal": "payment"}]},
        Outcome("Aborted", "Aborted", "not paid", tries=("i1 continue",)),
        meanwhile=Abort("WaitingForSignal", "not paid"),
    ),
)

SCENARIOS = (
    *OVERRIDES,
    *ANSWERS,
    *HANDOVERS,
    *CONTROLLER,
    *INPUTS,
    *HOOKS,
    *ABORTS,
    *TRIES,
    *FAMILIES,
    *CLEANUPS,
    *SIGNALS,
)
