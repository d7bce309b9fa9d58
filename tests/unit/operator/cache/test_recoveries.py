"""Refused runs are retried at once, a few at a time, when the cause may be fixed."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from podrelay.kube.resources import Key
from podrelay.operator.cache.recoveries import Recoveries
from podrelay.operator.cache.refused_runs import RefusedRuns
from podrelay.operator.cache.store import Store
from podrelay.operator.objects.metadata import Named
from podrelay.operator.view import Refusal, Settings
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, NOW, later, metadata, task_definition, task_run

QUOTA = frozenset({"QuotaExceeded"})


class Reports:
    """Collects reported namespaces, and lets time pass."""

    def __init__(self) -> None:
        self.namespaces: list[str | None] = []
        self.due: list[Callable[[], None]] = []
        self.recoveries = Recoveries(self.namespaces.append, lambda _seconds, call: self.due.append(call))

    def change(self, namespace: str) -> None:
        about = metadata("compute") | {"namespace": namespace}
        self.recoveries.apply(seen({"metadata": about}, Named))

    def a_second_passes(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


def test_a_namespace_is_reported_at_once_and_then_once_a_second() -> None:
    reports = Reports()

    for _ in range(5):
        reports.change("shop")
    reports.change("bakery")
    assert reports.namespaces == ["shop", "bakery"]

    reports.a_second_passes()
    assert reports.namespaces == ["shop", "bakery", "shop"]
    reports.a_second_passes()
    reports.a_second_passes()
    assert reports.namespaces == ["shop", "bakery", "shop"]
    assert reports.due == []


def test_a_quota_that_has_gone_and_a_new_list_count_as_changes() -> None:
    reports = Reports()

    reports.recoveries.remove(seen({"metadata": metadata("compute")}, Named))
    reports.recoveries.replace([], "7", None)

    assert reports.namespaces == ["shop", None]


# --- runs that were refused ------------------------------------------------------------------------------------------


@pytest.fixture
def marked() -> list[Key]:
    return []


@pytest.fixture
def store(marked: list[Key]) -> Store:
    store = Store(marked.append, Settings(), clock=lambda: NOW)
    store.definitions.apply(task_definition())
    for number in range(5):
        name = f"words{number}"
        store.runs.apply(task_run(name=name, uid=f"uid-{name}"))
        store.refused(run_of(store, name), Refusal(f"{name}-i1", "QuotaExceeded", "no", NOW, later(60)))
    marked.clear()
    return store


def run_of(store: Store, name: str):  # type: ignore[no-untyped-def]
    run = store.run(Key(KEY.namespace, name))
    assert run is not None
    return run


def test_one_run_of_a_definition_is_retried_and_the_next_two_after_its_pod_is_accepted(
    store: Store, marked: list[Key]
) -> None:
    store.retry_refused("shop", QUOTA)
    assert [key.name for key in marked] == ["words0"]
    refusal = store.refusal(run_of(store, "words0"))
    assert refusal is not None
    assert (refusal.since, refusal.retry_at) == (NOW, NOW)

    marked.clear()
    store.accepted(run_of(store, "words0"))
    assert [key.name for key in marked] == ["words1", "words2"]
    assert store.refusal(run_of(store, "words0")) is None


@pytest.mark.parametrize(("namespace", "reason"), [("bakery", "QuotaExceeded"), ("shop", "PodForbidden")])
def test_other_namespaces_and_reasons_are_left_alone(
    store: Store, marked: list[Key], namespace: str, reason: str
) -> None:
    store.retry_refused(namespace, {reason})

    assert marked == []


def test_a_run_that_is_gone_or_accepted_or_has_a_new_definition_does_not_wait(store: Store, marked: list[Key]) -> None:
    store.runs.remove(run_of(store, "words0"))
    store.accepted(run_of(store, "words1"))
    definition = task_definition()
    store.definitions.apply(replace(definition, metadata=replace(definition.metadata, generation=2)))
    marked.clear()

    store.retry_refused(None, QUOTA)

    assert marked == []


def test_checked_definitions_come_last_the_next_time() -> None:
    refused: RefusedRuns[str, int] = RefusedRuns()
    for number in range(5):
        refused.add(f"definition{number}", number)

    rounds = [refused.one_of_each(2, lambda _: True, lambda _: True) for _ in range(3)]

    assert rounds == [[0, 1], [2, 3], [4, 0]]
