"""Observations of runs belong to their UIDs, and slots to pods that may run, regardless of the state of the run."""

import itertools
from datetime import datetime

import msgspec
import pytest

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.run_id import RunId
from podrelay.operator.cache.slots import Limits
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.view import InputCheck, Refusal, Settings, Sightings
from tests.unit.operator.builders import (
    KEY,
    NOW,
    RUN_UID,
    ago,
    current,
    later,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
)

LABELS = {names.LABEL_RUN: KEY.name, names.LABEL_DEFINITION: "count-words"}
DEFINITION = Key(KEY.namespace, "count-words")
OWN = RunId(*KEY, RUN_UID)


class Clock:
    """A clock that a test sets."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store() -> Store:
    store = Store(lambda _key: None, Settings(), clock=lambda: NOW)
    store.definitions.apply(task_definition(version=1, maxConcurrentRuns=1))
    store.slots.open()
    store.runs.apply(task_run(version=2))
    return store


def again(version: int = 100) -> TaskRun:
    return task_run(uid="uid-again", version=version)


def working(**about: object) -> Pod:
    return pod(state=running(), phase="Running", about={"labels": LABELS, **about})


# --- facts -----------------------------------------------------------------------------------------------------------


def test_observations_do_not_apply_to_a_successor_of_the_same_name(store: Store) -> None:
    store.refused(task_run(), Refusal("words-i1", "QuotaExceeded", "no", NOW, later(60)))
    store.confirm_settled(task_run(), "words-i1")

    store.runs.apply(again())

    view = store.view(KEY)
    assert view is not None
    assert (view.refusal, view.settled) == (None, frozenset())


def test_late_observations_do_not_apply_to_a_successor_of_the_same_name(store: Store) -> None:
    before = task_run()
    store.runs.apply(again())

    store.input_read(before, task_definition(version=1, maxConcurrentRuns=1), InputCheck(concurrency_key="theirs"))
    store.confirm_settled(before, "words-i1")
    store.confirm_lost(before, "words-i1")
    store.confirm_absent(before, "words-i1")
    store.confirm_children(before, "words-i1")
    store.refused(before, Refusal("words-i1", "QuotaExceeded", "no", NOW, later(5)))
    store.confirm_gone(before, "words-i1", "uid-words-i1")

    view = store.view(KEY)
    assert view is not None
    assert (view.input, view.settled, view.lost_records, view.absent) == (None, frozenset(), frozenset(), None)
    assert (view.children.known_since, view.refusal, view.gone) == (None, None, {})


def test_a_heartbeat_counts_from_when_it_was_seen_regardless_of_the_clock_of_its_node() -> None:
    clock = Clock()
    store = Store(lambda _key: None, Settings(), clock=clock)
    store.runs.apply(task_run(version=2))

    store.records.apply(record(version=3, heartbeatAt=ago(500)))
    clock.now = later(10)
    store.records.apply(record(version=4, heartbeatAt=ago(500), progress={"percent": 1}))
    view = store.view(KEY)
    assert view is not None
    assert view.heartbeat is not None
    assert (view.heartbeat.record, view.heartbeat.seen_at) == ("words-i1", NOW)

    clock.now = later(20)
    store.records.apply(record(version=5, heartbeatAt=ago(490)))
    view = store.view(KEY)
    assert view is not None
    assert view.heartbeat is not None
    assert view.heartbeat.seen_at == later(20)


# --- slots -----------------------------------------------------------------------------------------------------------


def test_a_finished_run_with_a_running_pod_holds_its_slot(store: Store) -> None:
    store.pods.apply(working())
    store.runs.apply(task_run({"phase": "Failed", "reason": "NodeLost", "finishedAt": NOW}, version=50))
    assert store.slots.has_slot(OWN)

    store.pods.apply(pod(state=terminated(), phase="Failed", about={"labels": LABELS}))
    assert not store.slots.has_slot(OWN)


def test_a_deleted_run_holds_its_slot_until_its_pod_has_ended(store: Store) -> None:
    store.pods.apply(working())
    store.runs.remove(task_run(version=50))
    assert store.slots.active(DEFINITION) == 1

    other = task_run(name="other", uid="uid-other", version=60)
    store.runs.apply(other)
    store.take_slot(other, None)
    assert not store.slots.has_slot(RunId(KEY.namespace, "other", "uid-other"))
    store.pods.remove(working())
    assert store.slots.has_slot(RunId(KEY.namespace, "other", "uid-other"))


def test_a_run_of_the_same_name_does_not_get_the_slot_of_the_pod_before_it(store: Store) -> None:
    store.pods.apply(working())
    store.runs.apply(again())
    store.take_slot(again(), None)

    assert store.slots.has_slot(OWN)
    assert not store.slots.has_slot(RunId(*KEY, "uid-again"))
    store.pods.remove(working())
    assert store.slots.has_slot(RunId(*KEY, "uid-again"))


def test_a_pod_of_a_finished_run_that_is_seen_after_a_restart_holds_a_slot() -> None:
    store = Store(lambda _key: None, Settings())
    store.slots.set_limits(DEFINITION, Limits(1))
    store.runs.apply(task_run({"phase": "Failed", "finishedAt": NOW, "current": current()}, version=2))
    store.pods.apply(working())

    assert store.slots.active(DEFINITION) == 1


def test_a_pod_that_has_lost_its_labels_counts_for_the_definition_of_its_run() -> None:
    store = Store(lambda _key: None, Settings())
    store.runs.apply(task_run({"phase": "Running", "current": current()}, version=2))

    store.pods.apply(working(labels={}))

    assert store.slots.active(DEFINITION) == 1


def test_a_pod_deleted_before_it_was_on_a_node_does_not_hold_its_slot(store: Store) -> None:
    discarded = working(deletionTimestamp=NOW, deletionGracePeriodSeconds=0, finalizers=[names.ANSWER_FINALIZER])
    discarded = msgspec.structs.replace(
        discarded,
        spec=msgspec.structs.replace(discarded.spec, node_name=""),
        status=msgspec.structs.replace(discarded.status, container_statuses=()),
    )
    store.pods.apply(discarded)
    assert store.slots.has_slot(OWN)  # until the status shows the result

    store.runs.apply(task_run({"phase": "Running", "disruptions": 1}, version=50))

    assert not store.slots.has_slot(OWN)


# --- times of sightings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(["run", "pod", "record"])))
def test_observations_from_before_the_run_was_seen_count(order: tuple[str, ...]) -> None:
    """Each kind has its own list, and after a restart of the operator they arrive in any order."""
    moments = iter([NOW, *(later(100 + number) for number in range(20))])
    store = Store(lambda _key: None, Settings(), clock=lambda: next(moments))
    objects = {
        "run": lambda: store.runs.apply(task_run({"phase": "Running", "current": current()}, version=2)),
        "pod": lambda: store.pods.apply(working()),
        "record": lambda: store.records.apply(record(version=3, heartbeatAt=ago(500))),
    }
    for kind in order:
        objects[kind]()

    view = store.view(KEY)

    assert view is not None
    assert view.sightings["uid-words-i1"].started is not None
    assert view.heartbeat is not None
    started, heartbeat = view.sightings["uid-words-i1"].started, view.heartbeat.seen_at
    store.records.apply(record(version=4, heartbeatAt=ago(500), progress={"percent": 1}))
    again = store.view(KEY)
    assert again is not None
    assert again.heartbeat is not None
    assert (again.sightings["uid-words-i1"].started, again.heartbeat.seen_at) == (started, heartbeat)


def test_the_times_at_which_a_pod_started_answered_and_ended_are_noted(store: Store) -> None:
    clock = Clock()
    store = Store(lambda _key: None, Settings(), clock=clock)
    store.runs.apply(task_run(version=2))

    def seen() -> Sightings | None:
        view = store.view(KEY)
        assert view is not None
        return view.sightings.get("uid-words-i1")

    store.pods.apply(pod(version=3, about={"labels": LABELS}))
    first = clock.now
    clock.now = later(1)
    store.pods.apply(pod(version=4, about={"labels": LABELS}))
    assert seen() == Sightings(first, unstarted=later(1))
    clock.now = later(2)
    store.pods.apply(pod(version=5, state=running(), phase="Running", about={"labels": LABELS}))
    clock.now = later(3)
    store.records.apply(record(response={"status": "done"}, version=6))
    clock.now = later(4)
    store.pods.apply(pod(version=7, state=terminated(), phase="Running", about={"labels": LABELS}))
    assert seen() == Sightings(first, later(1), started=later(2), ended=later(4), answered=later(3))
    store.pods.apply(pod(version=8, state=terminated(), phase="Succeeded", about={"labels": LABELS}))
    assert seen() is None
