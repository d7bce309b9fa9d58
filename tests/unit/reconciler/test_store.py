"""The operator's memory: nothing newer is ever replaced by something older."""

from podrelay.reconciler.objects import Pod
from podrelay.reconciler.store import Key, Store
from podrelay.reconciler.view import Settings, StartFailure
from tests.support.views import NOW, pod, task_definition, task_run

KEY = Key("shop", "run")


def store() -> tuple[Store, list[Key]]:
    marked: list[Key] = []
    made = Store(marked.append, Settings())
    made.runs.apply(task_run())
    marked.clear()
    return made, marked


def version(number: int, name: str = "run-i1", uid: str = "") -> Pod:
    meta = {"resourceVersion": str(number)} | ({"uid": uid} if uid else {})
    return pod(name, meta=meta)


def pods_of(made: Store) -> dict[str, str]:
    return {item.metadata.uid: item.metadata.resource_version for item in made.pods.of(KEY)}


def test_a_late_event_does_not_undo_an_own_write() -> None:
    made, marked = store()

    made.pods.apply(version(9))
    made.pods.apply(version(8))

    assert pods_of(made) == {"uid-of-run-i1": "9"}
    assert marked == [KEY]


def test_versions_are_compared_as_numbers() -> None:
    made, _ = store()

    made.pods.apply(version(9))
    made.pods.apply(version(10))

    assert pods_of(made) == {"uid-of-run-i1": "10"}


def test_the_answer_to_an_own_write_does_not_raise_the_dead() -> None:
    made, _ = store()
    made.pods.apply(version(5))
    made.pods.remove(version(6))

    made.pods.apply(version(5))

    assert pods_of(made) == {}


def test_a_live_read_does() -> None:
    made, _ = store()
    made.pods.apply(version(5))
    made.pods.remove(version(6))

    made.pods.restore(version(7))

    assert pods_of(made) == {"uid-of-run-i1": "7"}


def test_a_relist_reports_what_vanished_but_not_what_came_after_it() -> None:
    made, marked = store()
    made.pods.apply(version(5))
    made.pods.apply(version(12, "run-i2"))
    marked.clear()

    made.pods.replace([], "10")

    assert pods_of(made) == {"uid-of-run-i2": "12"}
    assert marked == [KEY]


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    made, _ = store()
    made.pods.apply(version(5))

    made.pods.part("elsewhere").replace([], "10")
    assert pods_of(made) == {"uid-of-run-i1": "5"}

    made.pods.part("shop").replace([], "10")
    assert pods_of(made) == {}


def test_another_pod_of_the_same_name_takes_its_place() -> None:
    made, _ = store()
    made.pods.apply(version(5, uid="first"))

    made.pods.apply(version(9, uid="second"))
    made.pods.remove(version(10, uid="first"))

    assert pods_of(made) == {"second": "9"}


def test_a_late_event_of_a_predecessor_does_not_push_out_its_successor() -> None:
    made, _ = store()
    made.pods.apply(version(9, uid="second"))

    made.pods.apply(version(5, uid="first"))
    made.pods.remove(version(6, uid="first"))

    assert pods_of(made) == {"second": "9"}


def test_gone_pods_are_remembered_as_they_were_last_seen() -> None:
    made, _ = store()
    made.pods.apply(version(5))
    made.pods.remove(version(6))

    made.confirm_gone(KEY, "run-i1", "uid-of-run-i1", NOW)

    view = made.view(KEY)
    assert view is not None
    gone = view.gone["uid-of-run-i1"]
    assert gone.is_last_state
    assert gone.last is not None
    assert gone.last.metadata.resource_version == "6"


def test_a_deletion_that_was_missed_is_not_taken_for_the_last_state() -> None:
    made, _ = store()
    made.pods.apply(version(5))
    made.pods.replace([], "10")

    made.confirm_gone(KEY, "run-i1", "uid-of-run-i1", NOW)

    view = made.view(KEY)
    assert view is not None
    assert not view.gone["uid-of-run-i1"].is_last_state


def test_memory_does_not_grow_with_the_pods_that_are_no_more() -> None:
    made, _ = store()

    for number in range(1, 50):
        made.pods.apply(version(number * 2, f"run-i{number}"))
        made.pods.remove(version(number * 2 + 1, f"run-i{number}"))
        made.confirm_gone(KEY, f"run-i{number}", f"uid-of-run-i{number}", NOW)

    view = made.view(KEY)
    assert view is not None
    assert len(view.gone) <= 5
    made.runs.remove(task_run())
    assert made.view(KEY) is None


def test_a_changed_definition_marks_its_runs_and_forgets_what_was_refused() -> None:
    made, marked = store()
    made.start_failed(KEY, StartFailure("run-i1", "PodInvalid", "no", NOW, NOW))

    made.definitions.apply(task_definition())

    assert marked == [KEY]
    assert made.start_failure(KEY) is None


def test_pods_belong_to_their_owner_whatever_their_labels_say() -> None:
    made, _ = store()

    made.pods.apply(pod("stranger", meta={"ownerReferences": []}))

    assert pods_of(made) == {}
