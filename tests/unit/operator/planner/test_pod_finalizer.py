"""The finalizer keeps a pod until its result is stored; it is removed when the pod has been deleted."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.api import names
from podrelay.operator.plan import CreatePod, DeletePod, Plan, ReadRecord, ReleasePod, WriteRecord
from podrelay.operator.planner.planner import plan_without_run
from podrelay.operator.pods import Pod
from podrelay.operator.view import Refusal, Slot, View
from tests.unit.operator.builders import (
    NOW,
    ago,
    current,
    later,
    plan,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
    view,
)

RUNNING = {"phase": "Running", "current": current(), "startedAt": ago(30), "iterations": 1}
DELETED = {"deletionTimestamp": ago(0), "deletionGracePeriodSeconds": 10}
FORCED = {"deletionTimestamp": ago(0), "deletionGracePeriodSeconds": 0}


def held(about: dict[str, Any] | None = None, **rest: Any) -> Pod:
    return pod(about={"finalizers": [names.ANSWER_FINALIZER], **(about or {})}, **rest)


def action(following: Plan) -> Any:
    (only,) = following.actions
    return only


def seen(pod: Pod, status: dict[str, Any] | None = None, **rest: Any) -> View:
    return view(task_run(status or RUNNING), pods=(pod,), **rest)


def test_the_crash_of_a_pod_that_was_deleted_afterwards_is_a_failed_attempt() -> None:
    crashed = held(DELETED, phase="Failed", state=terminated(1, at=ago(15)))

    written = action(plan(seen(crashed, records=(record(),)), NOW))

    assert isinstance(written, WriteRecord)
    assert (written.cause, written.response.status) == ("PodFailure", "error")


@pytest.mark.parametrize(
    "state", [terminated(1, at=ago(5)), terminated(0, at=ago(10)), terminated(143, at=ago(70)), None]
)
def test_a_pod_that_ended_because_it_was_deleted_was_disrupted(state: dict[str, Any] | None) -> None:
    ended = held(DELETED, phase="Failed", state=state)

    assert action(plan(seen(ended, records=(record(),)), NOW)) == ReadRecord("words-i1")


def test_what_a_deleted_pod_has_answered_in_its_message_counts() -> None:
    by_message = {names.ANNOTATION_REPORTING: "TerminationMessage"}
    state = terminated(0, at=ago(20), message='{"status":"done"}')
    answered = held(DELETED, phase="Succeeded", state=state, annotations=by_message)

    written = action(plan(seen(answered), NOW))

    assert isinstance(written, WriteRecord)
    assert written.response.status == "done"


def test_a_drained_pod_that_a_foreign_finalizer_keeps_is_not_waited_for() -> None:
    about = {**DELETED, "finalizers": ["example.com/audit"]}
    drained = pod(about=about, phase="Failed", state=terminated(137, at=NOW))
    settled = frozenset({"words-i1"})

    following = action(plan(seen(drained, records=(record(),), settled=settled), later(500)))

    assert isinstance(following, CreatePod)
    assert following.target.name == "words-i1t2"


def test_a_force_deleted_pod_is_released_at_once_so_that_its_token_becomes_invalid() -> None:
    forced = held(FORCED, phase="Running", state=running())

    assert action(plan(seen(forced), NOW)) == ReleasePod(forced)


def test_a_pod_that_is_not_needed_is_deleted_and_then_released() -> None:
    done = {"phase": "Succeeded", "current": current(), "finishedAt": ago(5)}
    ended = held(phase="Succeeded", state=terminated())
    deleted = held(DELETED, phase="Succeeded", state=terminated())

    assert action(plan(seen(ended, done), NOW)) == DeletePod("words-i1", "uid-words-i1")
    assert action(plan(seen(deleted, done), NOW)) == ReleasePod(deleted)


def test_a_pod_that_is_kept_keeps_the_finalizer_until_it_is_deleted() -> None:
    """Removing it would take a write for each pod, and most pods are never deleted by themselves."""
    failed = {"phase": "Failed", "current": current(), "finishedAt": ago(5)}
    ended = held(phase="Failed", state=terminated(1))
    deleted = held(DELETED, phase="Failed", state=terminated(1))

    assert plan(seen(ended, failed), NOW).actions == ()
    assert action(plan(seen(deleted, failed), NOW)) == ReleasePod(deleted)


def test_the_pod_that_is_due_is_kept_until_its_end_is_in_the_status() -> None:
    ended = held(DELETED, phase="Succeeded", state=terminated(), annotations={names.ANNOTATION_POD_CLEANUP: "Never"})
    answered = record(response={"status": "continue", "input": {}})
    following = seen(ended, records=(answered,))

    assert isinstance(action(plan(following, NOW)), CreatePod)


@pytest.mark.parametrize(
    ("about", "state", "node", "goes"),
    [
        (None, terminated(), True, False),
        (DELETED, running(), True, False),
        (DELETED, terminated(), True, True),
        (FORCED, running(), True, True),
        (DELETED, None, False, True),
    ],
)
def test_a_pod_of_a_deleted_run_is_released_when_it_has_ended(
    about: dict[str, Any] | None, state: dict[str, Any] | None, node: bool, goes: bool
) -> None:
    left = held(about, phase="Running" if state == running() else "Failed" if node else "Pending", state=state)
    if not node:
        left = msgspec.structs.replace(left, spec=msgspec.structs.replace(left.spec, node_name=""))

    assert plan_without_run((left,)).actions == ((ReleasePod(left),) if goes else ())


def test_the_pod_of_a_former_run_of_the_same_name_is_released() -> None:
    former = held({**DELETED, "run_uid": "uid-former"}, name="words-i3", phase="Failed", state=terminated())

    assert plan(view(pods=(former,)), NOW).actions == (ReleasePod(former),)


# --- slow events must not keep a deleted pod: drains and deletions of namespaces wait for it -------------------------


def test_a_deleted_pod_does_not_wait_for_hooks_that_wait_for_a_slot() -> None:
    done = {"phase": "Failed", "current": current(), "finishedAt": ago(5), "hooksDue": ["onError"]}
    ended = held(DELETED, phase="Failed", state=terminated(137))
    queued = Slot(is_granted=False, place=1)
    definition = task_definition(maxConcurrentRuns=1, hooks=["onError"])

    following = plan(view(task_run(done), definition, pods=(ended,), settled=frozenset({"words-i1"}), slot=queued), NOW)

    assert action(following) == ReleasePod(ended)


def test_the_pod_that_may_have_called_hooks_is_kept_until_its_end_is_explained() -> None:
    done = {"phase": "Failed", "current": current(), "finishedAt": ago(5), "hooksDue": ["onError"]}
    ended = held(DELETED, phase="Running", state=terminated(137))

    assert plan(view(task_run(done), pods=(ended,), settled=frozenset({"words-i1"})), NOW).actions == ()


@pytest.mark.parametrize(
    ("code", "records"), [(143, (record(),)), (1, (record(response={"status": "error"}, cause="PodFailure"),))]
)
def test_a_deleted_pod_does_not_wait_for_its_definition(code: int, records: tuple[Any, ...]) -> None:
    ended = held(DELETED, phase="Failed", state=terminated(code, at=ago(15) if code == 1 else NOW))
    orphaned = replace(view(task_run(RUNNING), pods=(ended,), records=records), definition=None)
    stalled = plan(orphaned, NOW).status
    assert stalled is not None
    assert stalled.reason == "DefinitionNotFound"

    following = plan(replace(orphaned, run=task_run(msgspec.to_builtins(stalled))), NOW)

    assert action(following) == ReleasePod(ended)


def test_a_pod_whose_answer_could_not_be_stored_is_kept() -> None:
    by_message = {names.ANNOTATION_REPORTING: "TerminationMessage"}
    ended = held(DELETED, phase="Succeeded", state=terminated(0, at=ago(20)), annotations=by_message)
    refused = Refusal("words-i1", "RecordRefused", "no", ago(5), later(5))
    stalled = plan(seen(ended, refusal=refused), NOW).status
    assert stalled is not None
    assert stalled.reason == "RecordRefused"

    following = plan(view(task_run(msgspec.to_builtins(stalled)), pods=(ended,), refusal=refused), NOW)

    assert following.actions == ()
