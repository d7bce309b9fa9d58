"""A new term of the Lease knows what a new process would, and not what an earlier term has read live or granted."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.keys import RunId
from podrelay.operator.cache.store import Store
from podrelay.operator.objects import TaskRun
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


def test_what_was_read_live_or_refused_in_an_earlier_term_is_read_again() -> None:
    store = new_store()
    definition, run = task_definition(version=1), task_run(version=2, parent="missing")
    store.definitions.apply(definition)
    store.runs.apply(run)
    store.view(KEY)  # which notes since when the parent is missing
    store.input_read(run, definition, InputCheck(concurrency_key="theirs"))
    store.confirm_settled(run, "words-i1")
    store.confirm_still_there(run, pod(version=3))
    store.confirm_lost(run, "words-i1")
    store.confirm_absent(run, "words-i1")
    store.confirm_children(run, "words-i1")
    store.confirm_silent(run, Silence("words-i1", None, NOW, NOW))
    store.refused(run, Refusal("words-i1", "QuotaExceeded", "no", NOW, later(5)))

    store.begin_term()

    assert store.view(KEY) == fresh_view(store)


def fresh_view(store: Store) -> Any:
    """What an operator sees that has listed the same objects and knows nothing else."""
    other = new_store()
    for kind in ("definitions", "runs", "records", "pods"):
        for key in getattr(store, kind).all_keys():
            for obj in getattr(store, kind).of(key):
                getattr(other, kind).apply(obj)
    return other.view(KEY)


def test_what_no_other_replica_can_have_changed_stays_known() -> None:
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


def test_a_slot_that_was_granted_and_not_used_is_asked_for_again() -> None:
    store = new_store()
    store.definitions.apply(task_definition(version=1, maxConcurrentRuns=1))
    store.slots.open()
    granted, waits = a_run("granted"), a_run("waits")
    for run in (granted, waits):
        store.runs.apply(run)
        store.take_slot(run, None)
    assert store.slots.has_slot(RunId(KEY.namespace, "granted", "uid-granted"))

    store.begin_term()
    # another replica has led meanwhile, and has let the other one run
    store.pods.apply(working("waits"))
    store.slots.open()
    store.take_slot(granted, None)

    assert not store.slots.has_slot(RunId(KEY.namespace, "granted", "uid-granted"))
    assert store.slots.active(DEFINITION) == 1


def test_no_slot_is_granted_before_the_term_has_begun_to_work() -> None:
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


def test_everything_is_looked_at() -> None:
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


def test_a_child_whose_abort_was_refused_is_tried_again() -> None:
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
    """Whatever an earlier term has granted: this is what restarts have always begun with."""
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
def told() -> list[str]:
    return []


@pytest.fixture
def store(told: list[str]) -> Store:
    store = new_store(restored=lambda: told.append("restored"))
    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "100")
    return store


def test_a_list_that_shows_an_object_as_it_was_before_tells_of_a_restore(store: Store, told: list[str]) -> None:
    store.runs.apply(a_run("a", {"phase": "Succeeded", "finishedAt": NOW}, version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "200")

    assert told == ["restored"]


def test_a_list_that_shows_what_is_known_to_be_deleted_tells_of_a_restore(store: Store, told: list[str]) -> None:
    store.runs.remove(a_run("a", version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "200")

    assert told == ["restored"]


def test_what_an_own_write_has_answered_since_the_list_tells_of_nothing(store: Store, told: list[str]) -> None:
    store.runs.apply(a_run("a", version=110))

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "105")

    assert told == []


def test_what_a_live_read_has_not_found_since_the_list_tells_of_nothing(store: Store, told: list[str]) -> None:
    store.runs.forget(Key(KEY.namespace, "a"), "a", "uid-a")

    store.runs.replace([a_run("a", version=90), a_run("b", version=95)], "105")

    assert told == []


def test_a_pod_that_left_the_watch_and_came_back_tells_of_nothing(store: Store, told: list[str]) -> None:
    """Somebody has taken its label away, and given it back."""
    store.pods.apply(pod(version=110))
    store.pods.remove(pod(version=120))

    store.pods.replace([pod(version=130)], "140")

    assert told == []


def test_a_pod_that_is_deleted_by_an_own_write_while_a_list_is_on_its_way_tells_of_nothing(
    store: Store, told: list[str]
) -> None:
    store.pods.apply(pod(version=110))
    store.pods.remove(pod(version=110), was_seen=False)

    store.pods.replace([pod(version=110)], "140")

    assert told == []


def test_an_ordinary_relist_tells_of_nothing(store: Store, told: list[str]) -> None:
    store.runs.apply(a_run("a", version=110))
    store.runs.remove(a_run("b", version=120))

    store.runs.replace([a_run("a", version=110), task_run(name="b", uid="another", version=130)], "140")

    assert told == []
    assert [run.metadata.uid for run in store.runs.of(Key(KEY.namespace, "b"))] == ["another"]


def test_a_further_look_at_a_silent_pod_leaves_the_time_of_the_first_one() -> None:
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
