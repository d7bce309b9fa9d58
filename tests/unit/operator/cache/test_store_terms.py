"""A new leadership term knows what a new process would know, but no live reads or slots of an earlier term."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.run_id import RunId
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.view import InputCheck, Refusal, Settings, Silence
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


def new_store(marked: list[Key] | None = None, **options: Any) -> Store:
    mark = marked.append if marked is not None else lambda _key: None
    return Store(mark, Settings(), clock=lambda: NOW, **options)


def a_run(name: str, status: dict[str, Any] | None = None, version: int | None = None, **spec: Any) -> TaskRun:
    return task_run(status, name=name, uid=f"uid-{name}", version=version, **spec)


def working(name: str) -> Pod:
    about = {"labels": LABELS | {names.LABEL_RUN: name}, "run": name, "run_uid": f"uid-{name}"}
    return pod(f"{name}-i1", state=running(), phase="Running", about=about)


def test_live_reads_and_refusals_of_an_earlier_term_are_forgotten() -> None:
    store = new_store()
    definition, run = task_definition(version=1), task_run(version=2, parent="missing")
    store.definitions.apply(definition)
    store.runs.apply(run)
    store.view(KEY)  # which notes since when the parent is missing
    store.input_read(run, definition, InputCheck(concurrency_key="theirs"))
    store.confirm_settled(run, "words-i1")
    store.confirm_consumed(run, "words-i1")
    store.confirm_still_there(run, pod(version=3))
    store.confirm_lost(run, "words-i1")
    store.confirm_absent(run, "words-i1")
    store.confirm_children(run, "words-i1")
    store.confirm_silent(run, Silence("words-i1", None, NOW, NOW))
    store.refused(run, Refusal("words-i1", "QuotaExceeded", "no", NOW, later(5)))

    store.begin_term()

    seen = store.view(KEY)
    assert seen == fresh_view(store)


def fresh_view(store: Store) -> Any:
    """The view of an operator that has only listed the same objects."""
    other = new_store()
    for kind in ("definitions", "runs", "records", "pods"):
        for key in getattr(store, kind).all_keys():
            for obj in getattr(store, kind).of(key):
                getattr(other, kind).apply(obj)
    return other.view(KEY)


def test_facts_that_no_other_replica_can_change_are_kept() -> None:
    store = new_store()
    run = task_run({"current": current()}, version=2)
    store.runs.apply(run)
    store.pods.apply(pod(version=3, state=running(), phase="Running"))
    store.records.apply(record(version=4, heartbeatAt=ago(500)))
    store.pods.remove(pod(version=5, state=terminated(), phase="Failed"))
    store.confirm_gone(run, "words-i1", "uid-words-i1")
    store.pods.apply(pod("words-i1t2", version=6, state=running(), phase="Running"))
    before = store.view(KEY)
    assert before is not None
    assert before.gone["uid-words-i1"].is_last_state
    assert before.sightings

    store.begin_term()

    after = store.view(KEY)
    assert after is not None
    assert (after.gone, after.sightings, after.heartbeat) == (before.gone, before.sightings, before.heartbeat)


def test_a_slot_that_was_granted_but_not_used_is_requested_again() -> None:
    store = new_store()
    store.definitions.apply(task_definition(version=1, maxConcurrentRuns=1))
    store.slots.open()
    granted, waits = a_run("granted"), a_run("waits")
    for run in (granted, waits):
        store.runs.apply(run)
        store.take_slot(run, None)
    assert store.slots.has_slot(RunId(KEY.namespace, "granted", "uid-granted"))

    store.begin_term()
    # another replica was the leader meanwhile, and has started the other run
    store.pods.apply(working("waits"))
    store.slots.open()
    store.take_slot(granted, None)

    assert not store.slots.has_slot(RunId(KEY.namespace, "granted", "uid-granted"))
    assert store.slots.active(DEFINITION) == 1


@pytest.mark.parametrize(("state", "has_slot"), [(running(), True), (terminated(75), False)])
def test_a_pod_created_ahead_and_deleted_before_its_turn_holds_a_slot_until_it_has_ended(
    state: dict[str, Any], has_slot: bool
) -> None:
    store = new_store()
    status = {"phase": "Running", "reason": "Waiting", "iterations": 1, "lastRecord": "words-i1"}
    store.runs.apply(task_run(status))
    about = {"deletionTimestamp": NOW, "finalizers": ["example.com/hold"]}
    store.pods.apply(pod("words-i2", annotations={names.ANNOTATION_AFTER: "words-i1"}, state=state, about=about))

    assert store.slots.active(DEFINITION) == int(has_slot)


def test_no_slot_is_granted_before_the_term_has_begun() -> None:
    store = new_store()
    store.definitions.apply(task_definition(version=1))
    store.slots.open()
    store.begin_term()
    run = a_run("run")
    store.runs.apply(run)

    store.take_slot(run, None)
    assert not store.slots.has_slot(RunId(KEY.namespace, "run", "uid-run"))

    store.slots.open()
    assert store.slots.has_slot(RunId(KEY.namespace, "run", "uid-run"))


def test_everything_is_marked() -> None:
    marked: list[Key] = []
    reviewed: list[Key] = []
    counted: list[Key] = []
    store = new_store(marked, definition_changed=reviewed.append, counted=counted.append)
    store.definitions.apply(task_definition(version=1))
    store.runs.apply(a_run("waits"))
    store.runs.apply(a_run("ended", {"phase": "Succeeded", "finishedAt": NOW}))
    store.pods.apply(working("without-a-run"))
    for noted in (marked, reviewed, counted):
        noted.clear()

    store.begin_term()

    assert {key.name for key in marked} == {"waits", "ended", "without-a-run"}
    assert reviewed == [DEFINITION]
    assert DEFINITION in counted


def test_a_child_whose_abort_was_refused_is_retried() -> None:
    store = new_store()
    store.runs.apply(task_run(version=2, abort={"message": "enough", "cascade": True}))
    store.runs.apply(a_run("child", parent=KEY.name))
    store.abort_refused(Key(KEY.namespace, "child"))
    before = store.view(KEY)
    assert before is not None
    assert before.children.to_abort == ()

    store.begin_term()

    after = store.view(KEY)
    assert after is not None
    assert [child.name for child in after.children.to_abort] == ["child"]


runs = st.lists(
    st.tuples(
        st.sampled_from(["new", "queued", "runs", "ended", "ended, its pod works"]),
        st.sampled_from([None, "x", "y"]),
    ),
    max_size=8,
)
asked = st.lists(st.integers(0, 7), max_size=8)


@given(runs, asked)
def test_slots_are_those_of_a_process_that_has_seen_nothing_but_the_objects(
    kinds: list[tuple[str, str | None]], asked: list[int]
) -> None:
    """Regardless of slots that an earlier term has granted, as after a restart."""
    versions = itertools.count(10)
    used, fresh = new_store(), new_store()
    objects: list[TaskRun] = []
    for number, (kind, value) in enumerate(kinds):
        status: dict[str, Any] = {"concurrencyKey": value} if value else {}
        name = f"run-{number}"
        match kind:
            case "queued":
                status |= {"phase": "Pending", "reason": "Queued"}
            case "runs":
                status |= {"phase": "Running", "current": current(f"{name}-i1")}
            case "ended" | "ended, its pod works":
                status |= {"phase": "Failed", "finishedAt": NOW}
        objects.append(a_run(name, status, version=next(versions)))
    definition = task_definition(version=1, maxConcurrentRuns=2, concurrency={"key": "customer", "limit": 1})
    for store in (used, fresh):
        store.definitions.apply(definition)
        if store is used:
            store.slots.open()
        for run, (kind, _) in zip(objects, kinds, strict=True):
            store.runs.apply(run)
            if kind in {"runs", "ended, its pod works"}:
                store.pods.apply(working(run.metadata.name))
    for number in asked:
        if number < len(objects):
            used.take_slot(objects[number], kinds[number][1])

    used.begin_term()
    for store in (used, fresh):
        store.slots.open()

    ids = [RunId(KEY.namespace, run.metadata.name, run.metadata.uid) for run in objects]
    assert [used.slots.slot(run) for run in ids] == [fresh.slots.slot(run) for run in ids]
    assert used.slots.active(DEFINITION) == fresh.slots.active(DEFINITION)
    assert used.slots.queued(DEFINITION) == fresh.slots.queued(DEFINITION)


# --- an API server that has gone back in time ------------------------------------------------------------------------


@pytest.fixture
def restores() -> list[str]:
    return []


@pytest.fixture
def store(restores: list[str]) -> Store:
    store = new_store(restored=lambda: restores.append("restored"))
    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "100")
    return store


def test_a_list_with_an_older_version_of_an_object_reveals_a_restore(store: Store, restores: list[str]) -> None:
    store.runs.apply(a_run("a", {"phase": "Succeeded", "finishedAt": NOW}, version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "200")

    assert restores == ["restored"]


def test_a_list_with_a_deleted_object_reveals_a_restore(store: Store, restores: list[str]) -> None:
    store.runs.remove(a_run("a", version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "200")

    assert restores == ["restored"]


def test_a_response_to_a_write_newer_than_the_list_is_not_a_restore(store: Store, restores: list[str]) -> None:
    store.runs.apply(a_run("a", version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "105")

    assert restores == []


def test_a_live_read_newer_than_the_list_is_not_a_restore(store: Store, restores: list[str]) -> None:
    store.runs.forget(Key(KEY.namespace, "a"), "a", "uid-a")

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "105")

    assert restores == []


def test_a_pod_that_left_the_watch_and_came_back_is_not_a_restore(store: Store, restores: list[str]) -> None:
    """A user has removed its label, and added it again."""
    store.pods.apply(pod(version=110))
    store.pods.remove(pod(version=120))

    store.pods.replace([pod(version=130)], "140")

    assert restores == []


def test_a_pod_deleted_by_a_write_during_a_list_is_not_a_restore(store: Store, restores: list[str]) -> None:
    store.pods.apply(pod(version=110))
    store.pods.remove(pod(version=110), was_seen=False)

    store.pods.replace([pod(version=110)], "140")

    assert restores == []


def test_an_ordinary_relist_is_not_a_restore(store: Store, restores: list[str]) -> None:
    store.runs.apply(a_run("a", version=110))
    store.runs.remove(a_run("b", version=120))

    store.runs.replace([a_run("a", version=110), task_run(name="b", uid="another", version=130)], "140")

    assert restores == []
    assert [run.metadata.uid for run in store.runs.of(Key(KEY.namespace, "b"))] == ["another"]


def test_a_further_read_of_a_silent_pod_keeps_the_time_of_the_first_one() -> None:
    store = new_store()
    store.definitions.apply(task_definition(version=1))
    run = task_run(version=2)
    store.runs.apply(run)

    store.confirm_silent(run, Silence("words-i1", None, NOW, NOW))
    store.confirm_silent(run, Silence("words-i1", None, later(10), later(10)))
    assert silence_in(store) == Silence("words-i1", None, NOW, later(10))
    store.confirm_silent(run, Silence("words-i1", NOW, later(20), later(20)))
    assert silence_in(store) == Silence("words-i1", NOW, later(20), later(20))


def silence_in(store: Store) -> Silence | None:
    view = store.view(KEY)
    assert view is not None
    return view.silence
