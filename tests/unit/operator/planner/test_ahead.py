"""The next pod is created while the container of the current one still ends, or, as a standby, still works."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from podrelay.api import names, protocol
from podrelay.operator import object_rules
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.plan import ConfirmAbsent, CreatePod, DeletePod, EndPod, Plan, ReleasePod
from podrelay.operator.planner import planner
from podrelay.operator.pods import Pod, PodSpec
from podrelay.operator.view import Settings, Slot, View
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

CONTINUE = {"status": "continue", "input": {"cursor": 1}}
WORKING = {"phase": "Running", "reason": "IterationRunning", "startedAt": ago(30), "iterations": 1}


def pod_of(definition: TaskDefinition, name: str = "words-i1", **fields: Any) -> Pod:
    """A pod made from the current template."""
    about = {names.ANNOTATION_TEMPLATE_HASH: object_rules.template_hash(definition), **fields.pop("annotations", {})}
    return pod(name, annotations=about, **{"state": running(), "phase": "Running", **fields})


def next_pod(**fields: Any) -> Pod:
    """The pod of iteration 2, created ahead."""
    return pod("words-i2", annotations={names.ANNOTATION_AFTER: "words-i1"}, **fields)


def planned(
    *others: Pod,
    response: dict[str, Any] | None = CONTINUE,
    state: dict[str, Any] | None = None,
    spec: dict[str, Any] | None = None,
    run: dict[str, Any] | None = None,
    runner: int = protocol.VERSION,
    quiet: bool = False,
    **known: Any,
) -> Plan:
    """The plan for a run whose first pod works, or has answered."""
    definition = task_definition(**(spec or {}))
    first = pod_of(definition, state=state or running(), phase="Running")
    run_object = task_run({**WORKING, "current": current()}, **(run or {}))
    records = (record(response=response, protocol=runner, quiet=quiet),)
    return planner.plan(view(run_object, definition, pods=(first, *others), records=records, **known))


def created(plan: Plan) -> CreatePod:
    (action,) = plan.actions
    assert isinstance(action, CreatePod)
    return action


def test_the_next_pod_is_created_when_the_answer_is_stored() -> None:
    target = created(planned()).target

    assert (target.name, target.state, target.after, target.is_standby) == ("words-i2", "words-i1", "words-i1", False)
    assert target.near == "node-1"


def test_it_is_released_when_the_container_has_ended() -> None:
    waiting = next_pod(state=running(), phase="Running")

    before = planned(waiting)
    assert before.actions == ()
    assert before.status is not None
    assert before.status.current is not None
    assert before.status.current.pod_name == "words-i1"

    after = planned(waiting, state=terminated())
    assert after.status is not None
    assert after.status.current is not None
    assert (after.status.current.pod_name, after.status.current.released_at) == ("words-i2", NOW)
    assert after.status.last_record == "words-i1"


def test_a_quiet_container_need_not_have_ended() -> None:
    ready = planned(next_pod(), quiet=True)
    assert ready.status is not None
    assert ready.status.current is not None
    assert (ready.status.current.pod_name, ready.status.last_record) == ("words-i2", "words-i1")
    assert isinstance(created(planned(quiet=True)), CreatePod)


@pytest.mark.parametrize(
    "case",
    [
        {"response": {"status": "continue", "waitSeconds": 5}},
        {"spec": {"handover": "AfterEnd"}},
        {"not_ahead": "words-i2", "without_next": True},
    ],
)
def test_otherwise_a_quiet_container_has_to_end_too(case: dict[str, Any]) -> None:
    others = () if case.pop("without_next", False) else (next_pod(),)
    following = planned(*others, quiet=True, **case)
    assert following.status is not None
    assert following.status.current is not None
    assert following.status.current.pod_name == "words-i1"


def test_a_container_that_does_not_end_after_its_answer_is_ended_when_its_successor_works() -> None:
    status = {**WORKING, "iterations": 2, "lastRecord": "words-i1", "current": current("words-i2", 2)}
    pods = (pod(state=running(), phase="Running"), next_pod(state=running(), phase="Running"))
    records = (record(response=CONTINUE, quiet=True), record("words-i2"))
    known = view(task_run(status), task_definition(), pods=pods, records=records)
    shown = planner.plan(known).status
    assert shown is not None
    known = replace(known, run=task_run(as_status(shown)))

    assert plan(known, later(29)).actions == ()
    (action,) = plan(known, later(31)).actions
    assert isinstance(action, EndPod)
    assert action.pod.metadata.name == "words-i1"


@pytest.mark.parametrize(
    "case",
    [
        {"spec": {"handover": "AfterEnd"}},
        {"spec": {"reporting": names.REPORTING_TERMINATION_MESSAGE}},
        {"response": {"status": "done"}},
        {"response": {"status": "error", "error": {"message": "no"}}, "spec": {"retry": {"limit": 3}}},
        {"response": {"status": "continue", "waitSeconds": 5}},
        {"spec": {"maxIterations": 1}},
        {"run": {"suspend": True}},
        {"spec": {"suspend": True}},
        {"runner": 2},
        {"not_ahead": "words-i2"},
        {"settings": Settings(creates_ahead=False)},
    ],
)
def test_it_is_not_created_ahead(case: dict[str, Any]) -> None:
    assert not any(isinstance(action, CreatePod) for action in planned(**case).actions)


def test_a_pod_of_another_template_is_not_created_ahead() -> None:
    """Its image may have a runner that does not wait."""
    definition = task_definition()
    first = pod(state=running(), phase="Running", annotations={names.ANNOTATION_TEMPLATE_HASH: "another"})
    known = view(task_run({**WORKING, "current": current()}), definition, pods=(first,))

    answered = replace(known, records=(record(response=CONTINUE, protocol=protocol.VERSION),))

    assert planner.plan(answered).actions == ()


# --- standby --------------------------------------------------------------------------------------------------------

STANDBY: dict[str, Any] = {"standby": {"afterSeconds": 60}}


def test_a_standby_is_created_after_some_time() -> None:
    early = planned(response=None, spec=STANDBY)
    assert early.actions == ()
    assert early.requeue_at == later(30)

    definition = task_definition(**STANDBY)
    known = view(
        task_run({**WORKING, "current": current()}),
        definition,
        pods=(pod_of(definition),),
        records=(record(protocol=protocol.VERSION),),
    )
    target = created(plan(known, later(31))).target
    assert (target.name, target.state, target.after, target.is_standby) == ("words-i2", None, "words-i1", True)
    assert target.near == "node-1"


@pytest.mark.parametrize(
    "case",
    [
        {"spec": {"standby": {"afterSeconds": 0}, "maxIterations": 1}},
        {"spec": {"standby": {"afterSeconds": 0}, "suspend": True}},
        {"spec": {"standby": {"afterSeconds": 0}}, "run": {"suspend": True}},
        {"spec": {"standby": {"afterSeconds": 0}}, "runner": 2},
        {"spec": {"standby": {"afterSeconds": 0}}, "not_ahead": "words-i2"},
    ],
)
def test_no_standby_is_created(case: dict[str, Any]) -> None:
    assert planned(**{"response": None, **case}).actions == ()


def test_there_is_one_standby() -> None:
    assert planned(next_pod(), response=None, spec={"standby": {"afterSeconds": 0}}).actions == ()


def test_a_standby_is_given_back_when_the_run_waits() -> None:
    waits = planned(
        next_pod(), response={"status": "continue", "waitSeconds": 90}, spec=STANDBY, state=terminated()
    ).status
    assert waits is not None
    assert waits.reason == "Waiting"

    known = view(task_run(status=as_status(waits)), task_definition(**STANDBY), pods=(next_pod(),), records=answered())
    assert planner.plan(known).actions == (DeletePod("words-i2", "uid-words-i2"),)


@pytest.mark.parametrize("was_on_a_node", [True, False])
def test_a_deleted_standby_is_released_as_soon_as_it_has_ended(was_on_a_node: bool) -> None:
    deleted = {"deletionTimestamp": NOW, "finalizers": [names.ANSWER_FINALIZER]}
    ended = next_pod(about=deleted, state=terminated(75), phase="Failed")
    if not was_on_a_node:
        ended = replace(next_pod(about=deleted), spec=PodSpec())
    status = {**WORKING, "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": later(90)}
    known = view(task_run(status), task_definition(**STANDBY), pods=(ended,), records=answered())
    shown = planner.plan(known).status
    assert shown is not None
    known = replace(known, run=task_run(as_status(shown)))

    assert ReleasePod(ended) in planner.plan(known).actions


def test_a_standby_that_was_deleted_is_not_released_but_replaced_under_its_name() -> None:
    deleted = next_pod(about={"deletionTimestamp": later(30), "finalizers": [names.ANSWER_FINALIZER]}, state=running())
    status = {**WORKING, "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": NOW}
    known = view(task_run(status), task_definition(**STANDBY), pods=(deleted,), records=answered())

    waits = planner.plan(known)
    assert waits.status is not None
    assert (waits.status.reason, waits.status.current, waits.requeue_at) == ("Waiting", None, later(90))
    assert created(planner.plan(replace(known, pods=()))).target.name == "words-i2"
    late = planner.plan(replace(known, now=later(90))).status
    assert late is not None
    assert late.current is not None, "its node may be lost"


@pytest.mark.parametrize(("state", "keeps_slot"), [(running(), True), (terminated(75), False)])
def test_a_deleted_standby_that_has_ended_needs_no_slot_although_a_foreign_finalizer_keeps_it(
    state: dict[str, Any], keeps_slot: bool
) -> None:
    deleted = next_pod(about={"deletionTimestamp": later(30), "finalizers": ["example.com/hold"]}, state=state)
    status = {**WORKING, "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": NOW}

    waits = planner.plan(view(task_run(status), task_definition(**STANDBY), pods=(deleted,), records=answered()))

    assert waits.status is not None
    assert waits.status.message == "pod words-i2, which was deleted before its turn, must end first"
    assert waits.keeps_slot is keeps_slot


@pytest.mark.parametrize(("state", "waits"), [(running(), False), (terminated(75), True)])
def test_the_attempt_after_a_standby_that_has_ended_needs_a_slot(state: dict[str, Any], waits: bool) -> None:
    """A foreign finalizer keeps the standby; the slot has been given back meanwhile."""
    deleted = next_pod(about={"deletionTimestamp": ago(90), "finalizers": ["example.com/hold"]}, state=state)
    status = {**WORKING, "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": NOW}
    slot = Slot(is_granted=False, place=1, scope="definition", held=1, limit=1)
    definition = task_definition(**STANDBY, maxConcurrentRuns=1)

    following = planner.plan(view(task_run(status), definition, pods=(deleted,), records=answered(), slot=slot))

    assert following.status is not None
    assert (following.status.reason == "Queued", following.status.current is None) == (waits, waits)


def test_a_deleted_standby_that_has_ended_is_released_while_another_pod_calls_hooks() -> None:
    deleted = {"deletionTimestamp": NOW, "finalizers": [names.ANSWER_FINALIZER]}
    ended = next_pod(about=deleted, state=terminated(0), phase="Running")
    calling = pod(state=running(), phase="Running", about={"finalizers": [names.ANSWER_FINALIZER]})
    finished = {"phase": "Succeeded", "reason": "Done", "finishedAt": NOW, "hooksDue": ["onDone"]}
    status = {**WORKING, **finished, "current": current()}
    definition = task_definition(hooks=["onDone"], **STANDBY)

    known = view(task_run(status), definition, pods=(calling, ended), records=answered({"status": "done"}))

    assert planner.plan(known).actions == (ReleasePod(ended),)


def test_a_standby_is_deleted_at_the_end() -> None:
    status = {**WORKING, "phase": "Succeeded", "reason": "Done", "finishedAt": NOW, "current": current()}
    known = view(task_run(status), task_definition(**STANDBY), pods=(next_pod(),), records=answered({"status": "done"}))

    assert planner.plan(known).actions == (DeletePod("words-i2", "uid-words-i2"),)


def test_an_abort_while_the_run_waits_needs_no_read_if_the_standby_has_the_name() -> None:
    deleted = next_pod(about={"deletionTimestamp": NOW, "finalizers": [names.ANSWER_FINALIZER]}, state=running())
    status = {**WORKING, "reason": "Waiting", "lastRecord": "words-i1", "nextIterationAt": later(90)}
    known = view(
        task_run(status, abort={"message": "enough"}),
        task_definition(),
        pods=(deleted,),
        records=answered(),
        absent=None,
    )

    aborted = planner.plan(known)
    assert not any(isinstance(action, ConfirmAbsent) for action in aborted.actions)
    assert aborted.status is not None
    assert aborted.status.phase == "Aborted"


# --- after the release ----------------------------------------------------------------------------------------------


def test_timeouts_count_from_the_release() -> None:
    pods = (next_pod(state=running(ago(5000)), phase="Running", about={"creationTimestamp": ago(5000)}),)
    status = {
        **WORKING,
        "iterations": 2,
        "lastRecord": "words-i1",
        "current": {**current("words-i2", 2), "releasedAt": ago(100)},
    }
    known = view(task_run(status), task_definition(), pods=pods, records=(*answered(), record("words-i2")))

    assert planner.plan(known).requeue_at == later(800)
    unstarted = replace(known, pods=(next_pod(about={"creationTimestamp": ago(5000)}),), records=answered())
    assert planner.plan(unstarted).requeue_at == later(800)


@pytest.mark.parametrize("code", [75, 76, 137])
def test_a_pod_that_ended_before_it_was_released_is_replaced_without_counting_as_an_attempt(code: int) -> None:
    ended = next_pod(state=terminated(code), phase="Failed")
    status = {**WORKING, "iterations": 2, "lastRecord": "words-i1", "current": current("words-i2", 2)}
    settled = frozenset({"words-i2"})
    known = view(task_run(status), task_definition(), pods=(ended,), records=answered(), settled=settled)

    target = created(planner.plan(known)).target
    assert (target.name, target.after) == ("words-i2t2", "")


def answered(response: dict[str, Any] = CONTINUE) -> tuple[Any, ...]:
    return (record(response=response, protocol=protocol.VERSION),)


def as_status(status: Any) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(status, builtin_types=(type(NOW),))
    return built


def test_a_view_without_a_definition_creates_nothing_ahead() -> None:
    known = View(task_run({**WORKING, "current": current()}), None, NOW, pods=(pod(state=running(), phase="Running"),))
    assert planner.plan(replace(known, records=answered())).actions == ()
