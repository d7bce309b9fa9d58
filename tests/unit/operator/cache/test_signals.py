"""Which signals mark themselves, and which mark their run; what a view sees of many signals."""

from datetime import datetime
from typing import Any

import pytest

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.signals import SignalCache
from podrelay.operator.objects import TaskRun
from podrelay.operator.signal_objects import TaskSignal
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, ago, later, owned, task_run

WAITING = {
    "phase": "Running",
    "reason": "WaitingForSignal",
    "waitingFor": {"signals": ["go"], "count": 1, "until": later(60)},
}


class Caches:
    """A cache of signals, the runs that it knows, and what it has marked."""

    def __init__(self) -> None:
        self.runs: dict[Key, TaskRun] = {KEY: task_run(WAITING)}
        self.marked: list[str] = []
        self.marked_runs: list[str] = []
        self.cache = SignalCache(
            lambda key: self.marked.append(key.name),
            lambda key: self.marked_runs.append(key.name),
            self.runs.get,
            lambda: None,
        )

    def add(self, name: str, signal: str = "go", *, accepts: bool = True, **more: Any) -> TaskSignal:
        sent = task_signal(name, signal, **more)
        self.cache.signals.apply(sent)
        if accepts:
            self.cache.accept(sent)
        return sent

    def names_of(self, signal: str = "go") -> list[str]:
        return [waiting.name for waiting in self.cache.inbox(self.runs[KEY]).of(signal)]


def task_signal(
    name: str,
    signal: str = "go",
    *,
    created: datetime | None = None,
    phase: str = "Pending",
    sender: str | None = None,
    run_uid: str | None = None,
    **spec: Any,
) -> TaskSignal:
    owner: dict[str, Any] = {"run_uid": run_uid} if run_uid else {}
    about = owned(name, **owner) | {"creationTimestamp": created or ago(5)}
    if sender is not None:
        about["annotations"] = {names.ANNOTATION_CREATED_BY: sender}
    body = {
        "metadata": about,
        "spec": {"taskRun": KEY.name, "signal": signal, **spec},
        "status": {"phase": phase},
    }
    return seen(body, TaskSignal)


@pytest.fixture
def caches() -> Caches:
    return Caches()


def test_a_new_signal_is_marked_and_marks_no_run_before_it_is_accepted(caches: Caches) -> None:
    caches.add("s1", accepts=False)

    assert (caches.marked, caches.marked_runs) == (["s1"], [])
    assert caches.names_of() == []


def test_an_accepted_signal_marks_a_run_that_waits_for_it(caches: Caches) -> None:
    caches.add("s1")

    assert caches.marked_runs == [KEY.name]
    assert caches.names_of() == ["s1"]


def test_ten_thousand_signals_do_not_mark_a_run_that_waits_for_another_one(caches: Caches) -> None:
    for number in range(10_000):
        caches.add(f"s{number}", "note")

    assert caches.marked_runs == []
    assert len(caches.names_of("note")) == 100, "a view has the oldest ones only"


def test_signals_are_in_the_order_of_their_creation_then_of_their_names(caches: Caches) -> None:
    for name, created in (("b", ago(5)), ("c", ago(9)), ("a", ago(5))):
        caches.add(name, created=created)

    assert caches.names_of() == ["c", "a", "b"]


@pytest.mark.parametrize("phase", ["Consumed", "Rejected"])
def test_a_signal_that_is_decided_no_longer_waits(caches: Caches, phase: str) -> None:
    caches.add("s1")
    caches.cache.signals.apply(task_signal("s1", phase=phase))

    assert caches.names_of() == []
    inbox = caches.cache.inbox(caches.runs[KEY])
    assert inbox.is_consumed("s1") is (phase == "Consumed")
    found = inbox.find("s1")
    assert found is not None
    assert found.signal == "go"


def test_a_deleted_signal_no_longer_waits(caches: Caches) -> None:
    sent = caches.add("s1")
    caches.cache.signals.remove(sent)

    assert caches.names_of() == []
    assert caches.cache.inbox(caches.runs[KEY]).find("s1") is None


def test_a_signal_of_a_former_run_of_the_same_name_does_not_count(caches: Caches) -> None:
    caches.add("s1", run_uid="uid-of-a-former-run")

    assert caches.names_of() == []


def test_an_older_state_of_a_signal_is_not_accepted(caches: Caches) -> None:
    old = caches.add("s1", accepts=False)
    caches.cache.signals.apply(task_signal("s1", phase="Consumed"))
    caches.cache.accept(old)

    assert caches.names_of() == []


def test_the_signals_of_a_run_are_marked_when_it_appears_or_finishes_but_not_when_it_changes(caches: Caches) -> None:
    caches.add("s1")
    caches.cache.run_changed(KEY)
    caches.marked.clear()

    caches.runs[KEY] = task_run(WAITING | {"message": "changed"})
    caches.cache.run_changed(KEY)
    assert caches.marked == []

    caches.runs[KEY] = task_run({"phase": "Succeeded"})
    caches.cache.run_changed(KEY)
    assert caches.marked == ["s1"]


def test_a_new_term_judges_all_signals_that_wait_again(caches: Caches) -> None:
    caches.add("s1")
    caches.add("s2", phase="Consumed", accepts=False)
    caches.marked.clear()

    caches.cache.begin_term()

    assert caches.marked == ["s1"]
    assert caches.names_of() == []


def test_a_user_has_decided_if_another_signal_of_the_same_name_was_accepted(caches: Caches) -> None:
    first = caches.add("s1", sender="anna", decision="Approve")
    second = caches.add("s2", sender="anna", decision="Reject", accepts=False)
    other = caches.add("s3", "else", sender="anna", decision="Approve", accepts=False)
    another = caches.add("s4", sender="bob", decision="Approve", accepts=False)

    decided = [caches.cache.has_decided(sent) for sent in (first, second, other, another)]
    assert decided == [False, True, False, False]
