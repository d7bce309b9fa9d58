"""The shapes of runs: their definitions, actions of other clients, and their endings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dev.harness.manifests import TASK_RUNS
from dev.harness.waiting import eventually
from tests.support.relay import Relay

LONG = 600
TRACE = r"""
trace=$(echo "$PODRELAY_INPUT" | sed 's/.*"trace":"\([^"]*\)".*/\1/')
echo "$PODRELAY_ITERATION $PODRELAY_TRY" >> "$trace"
answer() { echo "$1" > /dev/termination-log; exit 0; }
"""
"""Records the call of a script, like tests/support/tasks.py."""


@dataclass(frozen=True)
class Ending:
    """The objects and calls of a run. Records and pods are identified by the last part of their names.

    Attributes:
        calls: iteration and attempt of each call of user code, in order.
        records: the answer of each pod.
        pods: the pods that are kept.
        hooks: the hooks that were called, in order; all of them must have succeeded.
    """

    phase: str | None = None
    reason: str | None = None
    iterations: int = 0
    calls: tuple[tuple[int, int], ...] = ()
    records: tuple[tuple[str, str | None], ...] = ()
    pods: tuple[str, ...] = ()
    attempts: int = 0
    disruptions: int = 0
    hooks: tuple[str, ...] = ()


def nothing(_relay: Relay, _name: str) -> None:
    pass


@dataclass(frozen=True)
class Shape:
    """A kind of history.

    Attributes:
        task: a class of tests/support/tasks.py, or the name of the definition.
        expected: the ending of the run, regardless of what happens to the operator.
        definition: fields of the TaskDefinition's spec.
        input: the input of the run.
        spec: further fields of the run's spec.
        act: an action of a user meanwhile; waits for the right moment itself.
        script: run by its pods instead of a task; reports by termination message.
        late: another possible ending, if the operator is later than the pod waits for it.
    """

    name: str
    task: str
    expected: Ending
    definition: dict[str, Any] = field(default_factory=dict)
    input: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    act: Callable[[Relay, str], None] = nothing
    script: str | None = None
    late: Ending | None = None

    def define(self, relay: Relay, definition: str) -> None:
        spec = {"podCleanup": "Never", "abortGracePeriodSeconds": 1, **self.definition}
        if self.script is None:
            relay.define(self.task, definition, **spec)
        else:
            relay.define_script(definition, TRACE + self.script, **spec)

    def start(self, relay: Relay, definition: str, name: str) -> None:
        relay.run(name, definition, input=self.input, **self.spec)


def ending(relay: Relay, name: str) -> Ending:
    """Return the current state of a run; for a deleted run, its remaining objects."""
    status = relay.status(name) if name in relay.kubectl.names(TASK_RUNS) else {}
    called = relay.hook_calls(name)
    hooks = [hook["name"] for hook in status.get("hooks", []) if hook["outcome"] == "Succeeded"]
    return Ending(
        phase=status.get("phase"),
        reason=status.get("reason"),
        iterations=status.get("iterations", 0),
        calls=tuple(relay.calls(name)),
        records=tuple(
            (record["metadata"]["name"].removeprefix(f"{name}-"), record.get("response", {}).get("status"))
            for record in relay.records(name)
        ),
        pods=tuple(pod.removeprefix(f"{name}-") for pod in relay.pods(name)),
        attempts=status.get("attempts", 0),
        disruptions=status.get("disruptions", 0),
        hooks=tuple(called if hooks == called else ["called", *called, "stored", *hooks]),
    )


def has_ended(relay: Relay, shape: Shape, name: str, *, may_be_late: bool = False) -> bool:
    """Return whether the run has finished as it must."""
    expected = shape.expected.phase
    try:
        if expected is not None and not may_be_late and relay.status(name).get("phase") != expected:
            return False  # reading all of its objects takes three lists
        return ending(relay, name) in {shape.expected, shape.late if may_be_late else shape.expected}
    except AssertionError:
        return False  # a listed object was deleted before it was read


def check_ending(relay: Relay, shape: Shape, name: str, seconds: float = 60, *, may_be_late: bool = False) -> None:
    """Wait until the run has finished as it must."""
    if shape.expected.phase is not None:
        relay.finished(name, seconds)

    patience = 30 if shape.expected.phase is not None else seconds + 30  # there was no other wait before
    try:
        eventually(
            f"{name} has ended as expected", lambda: has_ended(relay, shape, name, may_be_late=may_be_late), patience
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\nexpected {shape.expected}\nis       {ending(relay, name)}") from error


def abort_when_it_works(relay: Relay, name: str) -> None:
    eventually(f"{name} works", lambda: relay.calls(name), 60)
    relay.abort(name)


def abort_when_it_waits(relay: Relay, name: str) -> None:
    relay.until(name, "it waits", 60, reason="Waiting")
    relay.abort(name)


def delete_the_pod_when_it_works(relay: Relay, name: str) -> None:
    eventually(f"{name} works", lambda: relay.calls(name), 60)
    relay.kubectl.do("delete", "pod", f"{name}-i1", "--wait=false")


def resume(relay: Relay, name: str) -> None:
    relay.until(name, "it is suspended", 60, reason="Suspended")
    patched = relay.kubectl.patch(TASK_RUNS, name, {"spec": {"suspend": False}})
    assert patched, str(patched)


RETRY = {"retry": {"limit": 1, "initialSeconds": 1}}
HOOKS = {"hooks": ["onBeforeTrigger", "onDone", "onError", "onAbort", "onMaxIterations"]}
RETRIED = ((1, 1), (1, 2))
CHAINED = ((1, 1), (2, 1))

SHAPES = (
    Shape(
        "disrupted",
        "Answer",
        Ending("Succeeded", "Done", 1, RETRIED, (("i1", None), ("i1t2", "done")), ("i1t2",), disruptions=1),
        input={"how": ["hear nothing", "done"]},
        act=delete_the_pod_when_it_works,
    ),
    Shape(
        "timeout",
        "Stubborn",
        Ending("Failed", "IterationTimeout", 1, ((1, 1),), (("i1", "error"),), ("i1",)),
        {"iterationTimeoutSeconds": 3},
    ),
    Shape(
        "continue",
        "Chain",
        Ending("Succeeded", "Done", 2, CHAINED, (("i1", "continue"), ("i2", "done"))),
        {"podCleanup": "OnSuccess"},
        {"length": 2},
    ),
    Shape(
        "wait",
        "Chain",
        Ending("Succeeded", "Done", 2, CHAINED, (("i1", "continue"), ("i2", "done")), ("i1", "i2")),
        input={"length": 2, "seconds": 1},
    ),
    Shape(
        "retry-kill",
        "Checkpoint",
        Ending("Succeeded", "Done", 1, RETRIED, (("i1", "error"), ("i1t2", "done")), ("i1", "i1t2"), attempts=1),
        RETRY,
    ),
    Shape(
        "retry-exit",
        "Answer",
        Ending("Succeeded", "Done", 1, RETRIED, (("i1", "error"), ("i1t2", "done")), ("i1", "i1t2"), attempts=1),
        RETRY,
        {"how": ["exit", "done"]},
    ),
    Shape(
        "retry-raise",
        "Answer",
        Ending("Succeeded", "Done", 1, RETRIED, (("i1", "error"), ("i1t2", "done")), ("i1", "i1t2"), attempts=1),
        RETRY,
        {"how": ["raise", "done"]},
    ),
    Shape(
        "abort-work",
        "Sleep",
        Ending("Aborted", "Aborted", 1, ((1, 1),), (("i1", "aborted"),), ("i1",)),
        {"abortGracePeriodSeconds": 20},
        act=abort_when_it_works,
    ),
    Shape(
        "abort-deaf",
        "Stubborn",
        Ending("Aborted", "Aborted", 1, ((1, 1),), (("i1", "aborted"),), ("i1",)),
        act=abort_when_it_works,
    ),
    Shape(
        "abort-wait",
        "Chain",
        Ending("Aborted", "Aborted", 1, ((1, 1),), (("i1", "continue"),), ("i1",)),
        input={"length": 2, "seconds": LONG},
        act=abort_when_it_waits,
    ),
    Shape(
        "max-iterations",
        "Chain",
        Ending("Failed", "MaxIterations", 2, CHAINED, (("i1", "continue"), ("i2", "continue")), ("i1", "i2")),
        {"maxIterations": 2},
        {"length": 100},
    ),
    Shape(
        "hooks",
        "Hooked",
        Ending(
            "Failed",
            "MaxIterations",
            1,
            ((1, 1),),
            (("i1", "continue"),),
            ("i1",),
            hooks=("onBeforeTrigger", "onMaxIterations", "onError"),
        ),
        {**HOOKS, "maxIterations": 1},
        {"how": "continue"},
        late=Ending(
            "Failed",
            "MaxIterations",
            1,
            ((1, 1),),
            (("hmax", None), ("i1", "continue")),
            ("hmax", "i1"),
            hooks=("onBeforeTrigger", "onMaxIterations", "onError"),
        ),
    ),
    Shape(
        "hook-pod",
        "Hooked",
        Ending(
            "Failed",
            "OOMKilled",
            1,
            ((1, 1),),
            (("herror", None), ("i1", "error")),
            ("herror", "i1"),
            hooks=("onBeforeTrigger", "onError"),
        ),
        HOOKS,
        {"how": "kill"},
    ),
    Shape(
        "delay",
        "Answer",
        Ending("Succeeded", "Done", 1, ((1, 1),), (("i1", "done"),), ("i1",)),
        input={"how": "done"},
        spec={"delaySeconds": 1},
    ),
    Shape(
        "suspend",
        "Chain",
        Ending("Succeeded", "Done", 2, CHAINED, (("i1", "continue"), ("i2", "done")), ("i1", "i2")),
        input={"length": 2},
        spec={"suspend": True},
        act=resume,
    ),
    Shape(
        "children",
        "Parent",
        Ending("Succeeded", "Done", 2, CHAINED, (("i1", "continue"), ("i2", "done")), ("i1", "i2")),
        input={"start": [{"definition": "parent", "input": {"start": [], "wait": False}}]},
    ),
    Shape(
        "ttl",
        "Answer",
        Ending(calls=((1, 1),)),
        input={"how": "done"},
        spec={"ttlSecondsAfterFinished": 1},
    ),
    Shape(
        "cleanup-always",
        "Answer",
        Ending("Failed", "TaskFailed", 1, ((1, 1),), (("i1", "error"),)),
        {"podCleanup": "Always"},
        {"how": "error"},
    ),
    Shape(
        "message-continue",
        "Message",
        Ending("Succeeded", "Done", 2, CHAINED, (("i1", "continue"), ("i2", "done")), ("i1", "i2")),
        script="""[ "$PODRELAY_ITERATION" = 2 ] || answer '{"status":"continue"}'""",
    ),
    Shape(
        "message-once",
        "Message",
        Ending("Succeeded", "Done", 1, ((1, 1),), (), ("i1",)),
        {"recordLogs": False},
        script="""answer '{"status":"done"}'""",
    ),
    Shape(
        "message-retry",
        "Message",
        Ending("Succeeded", "Done", 1, RETRIED, (("i1", "error"), ("i1t2", "done")), ("i1", "i1t2"), attempts=1),
        RETRY,
        script="""[ "$PODRELAY_FINAL_ATTEMPT" = true ] || exit 3""",
    ),
    Shape(
        "message-abort",
        "Message",
        Ending("Aborted", "Aborted", 1, ((1, 1),), (("i1", "aborted"),), ("i1",)),
        {"abortGracePeriodSeconds": 20},
        act=abort_when_it_works,
        script="""trap 'answer "{\\"status\\":\\"aborted\\"}"' TERM; while :; do sleep 0.05; done""",
    ),
)
