"""Events of a definition only iterate over its own runs, regardless of the number of others."""

from collections.abc import Iterator

import pytest

from podrelay.kube.resources import Key
from podrelay.operator.cache.store import Store
from podrelay.operator.view import Settings
from tests.unit.operator.builders import KEY, task_definition, task_run

DEFINITIONS, RUNS = 200, 1000


@pytest.fixture
def marked() -> list[Key]:
    return []


@pytest.fixture
def store(marked: list[Key]) -> Store:
    """A store that has listed the runs before their definitions."""
    store = Store(marked.append, Settings())
    for number in range(RUNS):
        store.runs.apply(task_run(name=f"run{number}", uid=f"uid{number}", definition=f"kind-{number % DEFINITIONS}"))
    marked.clear()
    return store


def test_definitions_that_are_listed_after_the_runs_do_not_iterate_over_other_runs(
    store: Store, marked: list[Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    def walked() -> Iterator[Key]:
        raise AssertionError("all runs are walked over")

    monkeypatch.setattr(store.runs, "all_keys", walked)

    for number in range(DEFINITIONS):
        store.definitions.apply(task_definition(f"kind-{number}"))

    assert len(marked) == RUNS, "each run is marked once, by its own definition"


def test_a_run_that_was_deleted_or_created_again_is_not_marked_by_its_old_definition(
    store: Store, marked: list[Key]
) -> None:
    store.runs.forget(Key(KEY.namespace, "run0"), "run0", "uid0")
    store.runs.apply(task_run(name=f"run{DEFINITIONS}", uid="new", definition="kind-1"))
    marked.clear()

    store.definitions.apply(task_definition("kind-0"))
    assert sorted(key.name for key in marked) == ["run400", "run600", "run800"]

    marked.clear()
    store.definitions.apply(task_definition("kind-1"))
    assert sorted(key.name for key in marked) == ["run1", "run200", "run201", "run401", "run601", "run801"]
