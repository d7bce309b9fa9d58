"""Counts of children stay correct when runs are created, changed and deleted, and parents are notified."""

import random
from typing import Any

import pytest

from podrelay.operator.cache.children import Change, ChildIndex
from podrelay.operator.objects.metadata import OwnerReference
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.view import ABORTS_AT_ONCE, Children, RunRef
from tests.unit.operator.builders import task_run

PHASES = (None, "Pending", "Running", "Succeeded", "Failed", "Aborted")


@pytest.fixture
def family() -> ChildIndex[str]:
    return ChildIndex()


def child(name: str, phase: str | None = "Running", **spec: Any) -> TaskRun:
    return task_run({"phase": phase} if phase else {}, name=name, uid=f"uid-{name}", parent="words", **spec)


def note(family: ChildIndex[str], run: TaskRun) -> Change:
    return family.note(run.metadata.name, "words", run)


def test_children_are_counted_by_definition(family: ChildIndex[str]) -> None:
    note(family, child("a"))
    note(family, child("b", None))
    note(family, child("c", definition="chain"))
    note(family, child("d", "Failed"))

    assert dict(family.summary("words").unfinished) == {"count-words": 2, "chain": 1}
    assert set(family.of("words")) == {"a", "b", "c", "d"}


def test_a_run_without_children_has_none(family: ChildIndex[str]) -> None:
    assert family.summary("words") == Children()
    assert family.of("words") == ()
    assert family.remove("words") == (None, Change())


def test_the_end_of_the_last_child_of_a_definition_is_reported(family: ChildIndex[str]) -> None:
    for name in ("a", "b"):
        note(family, child(name))
    note(family, child("c", definition="chain"))

    assert not note(family, child("a", "Succeeded")).is_over
    assert note(family, child("b", "Failed")).is_over
    assert not note(family, child("b", "Failed")).is_over, "it is reported once"
    assert note(family, child("c", "Aborted", definition="chain")).is_over


def test_a_deleted_child_counts_as_ended(family: ChildIndex[str]) -> None:
    note(family, child("a"))
    note(family, child("b", "Succeeded"))

    assert family.remove("b") == ("words", Change())
    assert family.remove("a") == ("words", Change(is_over=True, is_adopted=True))
    assert family.summary("words") == Children()


def test_children_to_abort_are_neither_finished_nor_aborted(family: ChildIndex[str]) -> None:
    assert note(family, child("a")).is_new
    note(family, child("b", "Succeeded"))
    note(family, child("c", abort={}))

    assert family.summary("words").to_abort == (RunRef("a", "uid-a"),)

    note(family, child("a", abort={"message": "enough"}))
    assert family.summary("words").to_abort == ()


def test_only_some_of_many_children_to_abort_are_named(family: ChildIndex[str]) -> None:
    for number in range(ABORTS_AT_ONCE + 10):
        note(family, child(f"child-{number}"))

    assert len(family.summary("words").to_abort) == ABORTS_AT_ONCE


def test_a_child_that_cannot_be_aborted_is_left_alone_until_it_changes(family: ChildIndex[str]) -> None:
    note(family, child("a"))
    family.leave_alone("a")

    assert family.summary("words").to_abort == ()
    assert dict(family.summary("words").unfinished) == {"count-words": 1}
    assert note(family, child("a")).is_new
    assert len(family.summary("words").to_abort) == 1


def test_a_child_without_its_parent_as_owner_is_not_adopted(family: ChildIndex[str]) -> None:
    owned = child("a")
    note(family, owned)
    owner = {"kind": "TaskRun", "name": "words", "uid": "uid-run"}

    assert family.summary("words").unadopted == 1
    assert note(family, adopted(owned, owner)).is_adopted
    assert family.summary("words").unadopted == 0


def test_a_run_that_is_its_own_parent_needs_no_owner(family: ChildIndex[str]) -> None:
    note(family, task_run(parent="words"))

    assert family.summary("words").unadopted == 0


def adopted(run: TaskRun, owner: dict[str, str]) -> TaskRun:
    import msgspec

    known = (msgspec.convert(owner, OwnerReference),)
    return msgspec.structs.replace(run, metadata=msgspec.structs.replace(run.metadata, owner_references=known))


def test_counters_agree_with_counting(family: ChildIndex[str]) -> None:
    choice = random.Random(7)
    there: dict[str, TaskRun] = {}
    for _ in range(3000):
        name = f"child-{choice.randrange(40)}"
        if choice.random() < 0.2:
            family.remove(name)
            there.pop(name, None)
        else:
            abort: dict[str, Any] = {"abort": {}} if choice.random() < 0.3 else {}
            there[name] = child(name, choice.choice(PHASES), definition=choice.choice(("x", "y")), **abort)
            note(family, there[name])
        open_ = [run for run in there.values() if run.status.phase not in PHASES[3:]]
        summary = family.summary("words")
        assert dict(summary.unfinished) == {
            kind: count for kind in ("x", "y") if (count := sum(run.spec.definition == kind for run in open_))
        }
        assert {ref.name for ref in summary.to_abort} == {run.metadata.name for run in open_ if run.spec.abort is None}
        assert set(family.of("words")) == set(there)
