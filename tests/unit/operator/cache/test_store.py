"""The store: newer versions win, regardless of their source; deleted objects stay deleted; it does not grow."""

from typing import Any

import pytest
from msgspec.structs import replace

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.collection import Collection
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.definitions import TaskDefinition, TaskDefinitionStatus
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.view import Parent, Refusal, Settings, View
from tests.unit.operator.builders import (
    KEY,
    NOW,
    RUN_UID,
    current,
    later,
    pod,
    record,
    running,
    task_definition,
    task_run,
    terminated,
)

OTHER_UID = "uid-of-the-second-run"


@pytest.fixture
def marked() -> list[Key]:
    return []


@pytest.fixture
def store(marked: list[Key]) -> Store:
    store = Store(marked.append, Settings(), clock=lambda: NOW)
    store.runs.apply(task_run(version=1))
    marked.clear()
    return store


def seen_pods(store: Store) -> list[tuple[str, str]]:
    return [(item.metadata.uid, item.metadata.resource_version) for item in store.pods.of(KEY)]


def test_a_newer_state_replaces_an_older_one_and_marks_the_run(store: Store, marked: list[Key]) -> None:
    store.pods.apply(pod(version=10))
    store.pods.apply(pod(version=12))

    assert seen_pods(store) == [("uid-words-i1", "12")]
    assert marked == [KEY, KEY]


def test_a_late_event_does_not_undo_the_response_to_a_write(store: Store, marked: list[Key]) -> None:
    store.pods.apply(pod(version=12))
    marked.clear()

    store.pods.apply(pod(version=11))

    assert seen_pods(store) == [("uid-words-i1", "12")]
    assert marked == []


def test_a_late_response_to_a_write_does_not_bring_back_a_deleted_object(store: Store) -> None:
    store.pods.apply(pod(version=10))
    store.pods.remove(pod(version=12))

    store.pods.apply(pod(version=11))

    assert store.pods.of(KEY) == ()


def test_a_relist_removes_missing_objects(store: Store, marked: list[Key]) -> None:
    store.pods.apply(pod("words-i1", version=10))
    store.pods.apply(pod("words-i2", version=11))
    marked.clear()

    store.pods.replace([pod("words-i2", version=11)], "20")

    assert [item.metadata.name for item in store.pods.of(KEY)] == ["words-i2"]
    assert marked == [KEY]


def test_a_relist_keeps_objects_that_were_created_after_it(store: Store) -> None:
    store.pods.apply(pod(version=21))

    store.pods.replace([], "20")

    assert seen_pods(store) == [("uid-words-i1", "21")]


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    # given two reflectors, one for each namespace, that fill the same collection
    store = Store(lambda _key: None, Settings())
    store.runs.replace([task_run(version=10)], "20", KEY.namespace)

    # when the second one lists
    store.runs.replace([], "21", "other")

    # then
    assert store.run(KEY) is not None


def test_a_new_object_of_the_same_name_replaces_one_whose_deletion_is_not_seen_yet(store: Store) -> None:
    store.pods.apply(pod(uid="first", version=10))

    store.pods.apply(pod(uid="second", version=14))
    store.pods.remove(pod(uid="first", version=12))
    store.pods.apply(pod(uid="first", version=11))

    assert seen_pods(store) == [("second", "14")]


def test_an_old_event_does_not_replace_a_newer_object_of_the_same_name(store: Store) -> None:
    # given the response to a create, before the watch has reported an earlier object of that name
    store.pods.apply(pod(uid="second", version=14))

    # when the watch catches up
    store.pods.apply(pod(uid="first", version=10))
    store.pods.remove(pod(uid="first", version=12))
    store.pods.apply(pod(uid="second", version=14))

    # then
    assert seen_pods(store) == [("second", "14")]


def test_a_live_read_restores_an_object_that_only_seemed_deleted(store: Store) -> None:
    # given a pod whose label was removed: the watch says DELETED with the version of that change
    store.pods.apply(pod(version=10))
    store.pods.remove(pod(version=12))

    store.pods.restore(pod(version=12))

    assert seen_pods(store) == [("uid-words-i1", "12")]


def test_a_live_read_from_before_the_deletion_restores_nothing(store: Store) -> None:
    store.pods.apply(pod(version=10))
    store.pods.remove(pod(version=12))

    store.pods.restore(pod(version=10))

    assert store.pods.of(KEY) == ()


def test_the_last_state_is_known_when_the_watch_saw_the_deletion(store: Store) -> None:
    store.pods.apply(pod(version=10))
    store.pods.remove(pod(version=12, state=running()))

    store.confirm_gone(task_run(), "words-i1", "uid-words-i1")

    gone = view_of(store).gone["uid-words-i1"]
    assert gone.is_last_state
    assert gone.last is not None
    assert gone.last.has_started


def test_the_last_state_is_unknown_when_the_deletion_was_missed(store: Store) -> None:
    store.pods.apply(pod(version=10))
    store.pods.replace([], "20")

    store.confirm_gone(task_run(), "words-i1", "uid-words-i1")

    gone = view_of(store).gone["uid-words-i1"]
    assert not gone.is_last_state
    assert gone.last is not None


def test_nothing_is_known_of_a_pod_that_was_never_seen(store: Store) -> None:
    store.confirm_gone(task_run(), "words-i1", "never-seen")

    assert view_of(store).gone["never-seen"].last is None


def test_a_pod_that_a_live_read_did_not_find_leaves_the_view_at_once(store: Store) -> None:
    store.pods.apply(pod(version=10))

    store.confirm_gone(task_run(), "words-i1", "uid-words-i1")

    assert view_of(store).pods == ()


def test_objects_without_a_run_are_not_kept(store: Store) -> None:
    foreign = pod()
    store.pods.apply(Pod(type(foreign.metadata)("x", "shop", "u", "1", NOW)))

    assert len(store.pods) == 0


def test_a_pod_that_lost_its_owner_is_seen_as_what_it_is_now(store: Store) -> None:
    store.pods.apply(pod(version=10))

    robbed = pod(version=11)
    store.pods.apply(replace(robbed, metadata=replace(robbed.metadata, owner_references=())))

    assert [known.metadata.owner_run() for known in view_of(store).pods] == [None]


def test_a_run_created_again_under_its_name_inherits_nothing(store: Store) -> None:
    # given a run with a refused pod and a deleted pod
    store.refused(task_run(), Refusal("words-i1", "QuotaExceeded", "no", NOW, later(5)))
    store.pods.apply(pod(version=10))
    store.confirm_gone(task_run(), "words-i1", "uid-words-i1")

    # when it is deleted and created again, and only the second event has arrived
    store.runs.apply(task_run(uid=OTHER_UID, version=30))
    store.runs.remove(task_run(version=29))

    # then
    view = view_of(store)
    assert view.run.metadata.uid == OTHER_UID
    assert view.gone == {}
    assert view.refusal is None


def test_a_changed_definition_marks_its_runs_and_forgets_their_refusals(store: Store, marked: list[Key]) -> None:
    store.runs.apply(task_run(name="else", uid="else", definition="else"))
    store.refused(task_run(), Refusal("words-i1", "InvalidTemplate", "no container", NOW, later(60)))
    marked.clear()

    store.definitions.apply(task_definition())

    assert marked == [KEY]
    assert store.refusal(task_run()) is None
    assert view_of(store).definition is not None


def test_finished_children_are_marked_when_their_parent_has_answered(store: Store, marked: list[Key]) -> None:
    """Children with selfCleanup stay until no attempt of the iteration that started them can start them again."""
    for name, phase in (("done", "Succeeded"), ("at-work", "Running")):
        store.runs.apply(task_run({"phase": phase}, name=name, uid=name, parent=KEY.name))
    marked.clear()

    store.runs.apply(task_run({"phase": "Running", "attempts": 1}))
    assert Key(KEY.namespace, "done") not in marked
    store.runs.apply(task_run({"phase": "Running", "lastRecord": "words-i1"}))
    assert marked.count(Key(KEY.namespace, "done")) == 1
    store.runs.apply(task_run({"phase": "Running", "lastRecord": "words-i1", "message": "another one"}))

    assert marked.count(Key(KEY.namespace, "done")) == 1
    assert Key(KEY.namespace, "at-work") not in marked


def test_a_definition_is_reported_until_its_generation_was_reviewed() -> None:
    changed: list[Key] = []
    store = Store(lambda _key: None, Settings(), changed.append)

    store.definitions.apply(task_definition(version=1))
    reviewed = task_definition(version=2)
    store.definitions.apply(TaskDefinition(reviewed.metadata, reviewed.spec, TaskDefinitionStatus(1)))

    assert changed == [Key("shop", "count-words")]


BY_MESSAGE = {names.ANNOTATION_REPORTING: names.REPORTING_TERMINATION_MESSAGE}


def lagging(store: Store) -> int:
    view = store.view(KEY)
    assert view is not None
    return view.lagging


def test_runs_are_counted_whose_status_does_not_show_their_pod_yet(store: Store) -> None:
    assert lagging(store) == 0
    store.pods.apply(pod("words-i1", annotations=BY_MESSAGE, version=3))
    assert lagging(store) == 1

    store.runs.apply(task_run({"phase": "Running", "current": current()}, version=4))
    assert lagging(store) == 0, "the status shows it"

    status = {"phase": "Running", "current": current(), "lastRecord": "words-i1"}
    store.pods.apply(pod("words-i1", phase="Succeeded", state=terminated(), annotations=BY_MESSAGE, version=5))
    store.pods.apply(pod("words-i2", annotations=BY_MESSAGE, version=6))
    store.runs.apply(task_run(status, version=7))
    assert lagging(store) == 1, "the status shows the one before"

    store.runs.apply(task_run(status | {"current": current("words-i2", 2)}, version=8))
    assert lagging(store) == 0

    store.pods.apply(pod("words-i2", phase="Succeeded", state=terminated(), annotations=BY_MESSAGE, version=9))
    assert lagging(store) == 1, "the status does not show its end"

    store.runs.apply(task_run({"phase": "Succeeded", "current": current("words-i2", 2)}, version=10))
    assert lagging(store) == 0


@pytest.mark.parametrize("gone", ["pod", "run"])
def test_a_deleted_object_does_not_lag_behind(store: Store, gone: str) -> None:
    late, run = pod("words-i1", annotations=BY_MESSAGE, version=3), task_run(version=2)
    store.pods.apply(late)
    assert lagging(store) == 1

    if gone == "pod":
        store.pods.remove(late)
    else:
        store.runs.remove(run)
        store.runs.apply(task_run(uid=OTHER_UID, version=9))

    assert lagging(store) == 0


def test_a_pod_that_reports_to_the_api_is_never_counted(store: Store) -> None:
    store.pods.apply(pod("words-i1", version=3))
    assert lagging(store) == 0


def test_there_is_no_view_of_a_missing_run(store: Store) -> None:
    assert store.view(Key("shop", "missing")) is None


# --- it does not grow -------------------------------------------------------------------------------------------------


def test_deletions_of_unknown_objects_leave_no_trace(store: Store) -> None:
    for number in range(50):
        store.runs.remove(task_run(name=f"run-{number}", uid=f"u{number}"))
        store.runs.forget(Key("shop", f"run-{number}"), f"run-{number}", f"u{number}")

    assert list(store.runs.all_keys()) == [KEY]


def test_a_long_relay_leaves_a_bounded_number_of_pods_in_memory(store: Store) -> None:
    for number in range(1, 200):
        name = f"words-i{number}"
        store.pods.apply(pod(name))
        store.pods.remove(pod(name))
        store.confirm_gone(task_run(), name, f"uid-{name}")

    assert len(view_of(store).gone) <= 8


def test_pods_that_were_never_seen_are_remembered_in_a_bounded_number_too(store: Store) -> None:
    for number in range(1, 200):
        store.confirm_gone(task_run(), f"words-i{number}", f"u{number}")

    gone = view_of(store).gone
    assert len(gone) <= 8
    assert "u199" in gone


def test_a_finished_run_remembers_no_pods(store: Store) -> None:
    # given
    store.pods.apply(pod(version=10))
    store.confirm_gone(task_run(), "words-i1", "uid-words-i1")
    store.pods.apply(pod("words-i2"))

    # when the run finishes, and its last pod goes after it
    store.runs.apply(task_run({"phase": "Succeeded"}))
    store.pods.remove(pod("words-i2"))
    store.confirm_gone(task_run(), "words-i2", "uid-words-i2")

    # then
    assert view_of(store).gone == {}


def test_late_facts_about_a_deleted_run_are_dropped(store: Store) -> None:
    store.runs.remove(task_run())

    store.confirm_gone(task_run(), "words-i1", "u")
    store.refused(task_run(), Refusal("words-i1", "QuotaExceeded", "no", NOW, later(5)))

    store.runs.apply(task_run(uid=OTHER_UID))
    assert view_of(store).gone == {}
    assert view_of(store).refusal is None


def test_the_memory_of_deletions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podrelay.operator.cache.collection._REMEMBERED_DELETIONS", 10)
    collection: Collection[Record] = Collection(lambda _: KEY, lambda _: None)

    for number in range(1, 30):
        collection.apply(record(f"words-i{number}"))
        collection.remove(record(f"words-i{number}"))

    assert len(collection._deleted) == 10


@pytest.mark.parametrize(
    ("kind", "obj"), [("runs", task_run()), ("definitions", task_definition()), ("pods", pod()), ("records", record())]
)
def test_the_number_of_objects_is_known(kind: str, obj: TaskRun | TaskDefinition | Pod | Record) -> None:
    store = Store(lambda _key: None, Settings())

    getattr(store, kind).apply(obj)

    assert len(getattr(store, kind)) == 1


def view_of(store: Store) -> View:
    view = store.view(KEY)
    assert view is not None
    assert view.run.metadata.uid in {RUN_UID, OTHER_UID}
    return view


# --- history limit and lost records -----------------------------------------------------------------------------------


def finished_run(name: str, seconds: float) -> TaskRun:
    status = {"phase": "Succeeded", "finishedAt": later(seconds)}
    return task_run(status, name=name, uid=f"uid-{name}", version=10)


def is_surplus(store: Store, name: str) -> bool:
    view = store.view(Key(KEY.namespace, name))
    assert view is not None
    return view.is_surplus


def test_a_finished_run_pushes_out_the_oldest(store: Store, marked: list[Key]) -> None:
    store.definitions.apply(task_definition(version=5, historyLimit={"runs": 2}))
    for name, seconds in (("old", 1), ("older", 0)):
        store.runs.apply(finished_run(name, seconds))
    assert not is_surplus(store, "older")
    marked.clear()

    store.runs.apply(finished_run("new", 2))

    assert [is_surplus(store, name) for name in ("new", "old", "older", KEY.name)] == [False, False, True, False]
    assert Key(KEY.namespace, "older") in marked


def test_a_deleted_run_does_not_count(store: Store) -> None:
    store.definitions.apply(task_definition(version=5, historyLimit={"runs": 1}))
    store.runs.apply(finished_run("old", 0))
    store.runs.apply(finished_run("new", 1))
    assert is_surplus(store, "old")

    store.runs.forget(Key(KEY.namespace, "new"), "new", "uid-new")

    assert not is_surplus(store, "old")


def test_a_lost_record_is_forgotten_and_remembered_as_lost_until_the_end(store: Store) -> None:
    store.records.apply(record(version=10))

    store.confirm_lost(task_run(), "words-i1")

    view = store.view(KEY)
    assert view is not None
    assert view.records == ()
    assert view.lost_records == {"words-i1"}
    store.runs.apply(task_run({"phase": "Failed", "finishedAt": NOW}, version=20))
    view = store.view(KEY)
    assert view is not None
    assert view.lost_records == frozenset()


# --- settings of namespaces -------------------------------------------------------------------------------------------


def test_a_changed_retention_marks_the_affected_runs_one_after_the_other() -> None:
    # given
    later_marks: list[tuple[str, float]] = []
    store = Store(
        lambda _key: None, Settings(), mark_later=lambda key, seconds: later_marks.append((key.name, seconds))
    )
    store.definitions.apply(task_definition("short", ttlSecondsAfterFinished=60))
    done = {"phase": "Succeeded", "finishedAt": NOW}
    store.runs.apply(task_run(name="goes-on", uid="u0"))
    store.runs.apply(task_run(done, name="own", uid="u1", ttlSecondsAfterFinished=5))
    store.runs.apply(task_run(done, name="by-definition", uid="u2", definition="short"))
    for number in range(1000):
        store.runs.apply(task_run(done, name=f"done-{number}", uid=f"d{number}", definition="gone"))

    # when
    store.retention_changed("elsewhere")
    assert later_marks == []
    store.retention_changed(KEY.namespace)

    # then
    assert [name for name, _ in later_marks] == [f"done-{number}" for number in range(1000)]
    assert [seconds for _, seconds in later_marks] == pytest.approx([number / 100 for number in range(1000)])


def test_a_view_has_the_retention_of_its_namespace() -> None:
    store = Store(lambda _key: None, Settings(), retention_days={KEY.namespace: 7}.get)
    store.runs.apply(task_run())

    assert view_of(store).retention_days == 7


# --- parents and children ---------------------------------------------------------------------------------------------


def child_run(name: str = "child", phase: str = "Running", version: int = 10, **spec: Any) -> TaskRun:
    status = {"phase": phase} | ({"finishedAt": later(5)} if phase in {"Succeeded", "Failed", "Aborted"} else {})
    return task_run(status, name=name, uid=f"uid-{name}", version=version, parent=KEY.name, **spec)


CHILD = Key(KEY.namespace, "child")


def test_a_parent_is_marked_when_its_last_child_has_ended(store: Store, marked: list[Key]) -> None:
    store.runs.apply(child_run())
    store.runs.apply(child_run("other"))
    assert view_of(store).children.unfinished == {"count-words": 2}
    marked.clear()

    store.runs.apply(child_run("other", "Failed", 11))
    assert KEY not in marked
    store.runs.apply(child_run(phase="Succeeded", version=12))

    assert KEY in marked
    assert view_of(store).children.unfinished == {}


def test_a_parent_is_marked_when_its_last_child_is_deleted(store: Store, marked: list[Key]) -> None:
    store.runs.apply(child_run())
    marked.clear()

    store.runs.remove(child_run(version=12))

    assert KEY in marked
    assert view_of(store).children.unfinished == {}


def test_a_parent_is_marked_for_a_child_that_a_relist_does_not_find(store: Store, marked: list[Key]) -> None:
    store.runs.apply(child_run())
    marked.clear()

    store.runs.replace([task_run(version=1)], "20")

    assert KEY in marked


def test_a_late_event_of_a_child_does_not_bring_it_back_to_life(store: Store) -> None:
    store.runs.apply(child_run(phase="Succeeded", version=12))
    store.runs.apply(child_run(version=11))
    store.runs.remove(child_run("gone", version=20))
    store.runs.apply(child_run("gone", version=19))

    assert view_of(store).children.unfinished == {}


def test_what_a_list_has_not_found_is_not_brought_back_by_an_older_one(store: Store) -> None:
    store.runs.replace([task_run(version=1)], "20")

    store.runs.apply(child_run(version=19))
    assert view_of(store).children.unfinished == {}
    store.runs.apply(child_run(version=21))
    assert view_of(store).children.unfinished == {"count-words": 1}


def test_a_list_of_one_namespace_hides_nothing_of_another(store: Store) -> None:
    store.runs.replace([], "20", "another")

    store.runs.apply(child_run(version=19))

    assert view_of(store).children.unfinished == {"count-words": 1}


def test_a_parent_that_is_aborted_is_marked_for_each_new_child(store: Store, marked: list[Key]) -> None:
    store.runs.apply(task_run(version=5, abort={"cascade": True}))
    marked.clear()

    store.runs.apply(child_run())

    assert KEY in marked
    assert [child.name for child in view_of(store).children.to_abort] == ["child"]


def test_a_new_child_alone_does_not_mark_its_parent(store: Store, marked: list[Key]) -> None:
    store.runs.apply(child_run())

    assert KEY not in marked


def test_children_are_marked_when_their_parent_ends_and_when_it_goes(store: Store, marked: list[Key]) -> None:
    store.runs.apply(child_run(phase="Succeeded"))
    marked.clear()

    store.runs.apply(task_run({"phase": "Running"}, version=20))
    assert CHILD not in marked
    store.runs.apply(task_run({"phase": "Succeeded", "finishedAt": NOW}, version=21))
    assert marked.count(CHILD) == 1
    store.runs.apply(task_run({"phase": "Succeeded", "finishedAt": NOW}, version=22))
    assert marked.count(CHILD) == 1, "once is enough"
    store.runs.remove(task_run(version=23))
    assert marked.count(CHILD) == 2


def test_a_child_sees_its_parent(store: Store) -> None:
    store.runs.apply(child_run())

    def parent() -> Parent | None:
        seen = store.view(CHILD)
        assert seen is not None
        return seen.parent

    more: dict[str, Any] = {"ancestors": 1, "unfinished_children": 1}
    assert parent() == Parent(RUN_UID, "count-words", None, is_aborted=False, is_finished=False, **more)
    more["max_children"] = 1000
    store.definitions.apply(task_definition(version=5, triggers=["chain"]))
    store.runs.apply(task_run(version=6, abort={}))
    assert parent() == Parent(RUN_UID, "count-words", ("chain",), is_aborted=True, is_finished=False, **more)
    store.runs.apply(task_run({"phase": "Aborted", "finishedAt": NOW}, version=7))
    ended: dict[str, Any] = {"is_aborted": True, "is_finished": True, "finished_at": NOW}
    assert parent() == Parent(RUN_UID, "count-words", ("chain",), **ended, **more)
    store.runs.remove(task_run(version=8))
    assert parent() is None


def test_a_child_knows_who_created_the_run_that_it_descends_from(store: Store) -> None:
    def created_by(annotations: dict[str, str]) -> str | None:
        store.runs.apply(task_run(annotations=annotations))
        seen = store.view(Key(KEY.namespace, "grandchild"))
        assert seen is not None
        assert seen.parent is not None
        return seen.parent.created_by

    store.runs.apply(child_run())
    store.runs.apply(task_run(name="grandchild", uid="uid-grandchild", parent=CHILD.name))

    assert created_by({}) is None
    assert created_by({names.ANNOTATION_CREATED_BY: "alice"}) == "alice"
    store.runs.apply(child_run(version=11, annotations={names.ANNOTATION_CREATED_BY: "bob"}))
    assert created_by({names.ANNOTATION_CREATED_BY: "alice"}) == "bob", "the signer of a child is responsible for it"


def test_ancestors_are_counted_up_to_the_maximum_depth(store: Store) -> None:
    deepest = Settings().max_depth + 5
    for depth in range(deepest + 1):
        parent: dict[str, Any] = {"parent": f"deep-{depth - 1}"} if depth else {}
        store.runs.apply(task_run(name=f"deep-{depth}", uid=f"uid-{depth}", **parent))

    def ancestors(name: str) -> int:
        seen = store.view(Key(KEY.namespace, name))
        assert seen is not None
        assert seen.parent is not None
        return seen.parent.ancestors

    assert ancestors("deep-3") == 3
    assert ancestors(f"deep-{deepest}") == Settings().max_depth + 1


def test_that_all_children_are_known_is_remembered_until_the_end(store: Store) -> None:
    store.confirm_children(task_run(), "words-i1")
    assert view_of(store).children.known_since == "words-i1"

    store.runs.apply(task_run({"phase": "Succeeded", "finishedAt": NOW}, version=20))
    assert view_of(store).children.known_since is None
    store.confirm_children(task_run(), "words-i1")
    assert view_of(store).children.known_since is None
