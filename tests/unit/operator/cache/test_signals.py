"""Which signals mark themselves, and which mark their run; what a view sees of many signals."""

from copy import deepcopy
from datetime import datetime
from typing import Any

import pytest

from podrelay.api import names
from podrelay.kube.resources import Key
from podrelay.operator.cache.signals import SignalCache
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import TaskSignal
from podrelay.operator.pods import Pod
from podrelay.operator.view import EMPTY_INBOX, Inbox
from tests.support.projections import seen
from tests.unit.operator.builders import KEY, ago, later, owned, pod, record, task_run

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

    def names_of(self, *signals: str) -> list[str]:
        """The signals in the view of a run whose last answer waits for these names."""
        return [waiting.name for waiting in self.inbox(answer(waits_for=signals or ("go",))).waiting]

    def inbox(self, *records: Record, pods: tuple[Pod, ...] = ()) -> Inbox:
        return self.cache.inbox(self.runs[KEY], pods, records)


def answer(name: str = "words-i1", waits_for: tuple[str, ...] = (), consumed: tuple[str, ...] = ()) -> Record:
    response: dict[str, Any] = {"status": "continue", "signals": consumed}
    if waits_for:
        response["waitForSignal"] = {"names": waits_for}
    return record(name, response=response)


def task_signal(
    name: str,
    signal: str = "go",
    *,
    created: datetime | None = None,
    phase: str = "Pending",
    sender: str | None = None,
    restored: datetime | None = None,
    run_uid: str | None = None,
    **spec: Any,
) -> TaskSignal:
    owner: dict[str, Any] = {"run_uid": run_uid} if run_uid else {}
    about = owned(name, **owner) | {"creationTimestamp": created or ago(5)}
    if sender is not None:
        about["annotations"] = {names.ANNOTATION_CREATED_BY: sender}
    if restored is not None:
        sent_at = f"{restored:%Y-%m-%dT%H:%M:%SZ}"
        about["annotations"] = {names.ANNOTATION_SENT_AT: sent_at, names.ANNOTATION_RESTORED_BY: "root"}
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


def test_a_restored_signal_has_its_place_by_the_time_at_which_it_was_sent(caches: Caches) -> None:
    caches.add("late", created=ago(60))
    caches.add("restored", created=ago(5), restored=ago(600))

    assert caches.names_of() == ["restored", "late"]
    (first, _) = caches.inbox(answer(waits_for=("go",))).waiting
    assert (first.created, first.restored_by) == (ago(600), "root")


def test_the_signals_of_a_run_are_marked_when_its_import_is_complete(caches: Caches) -> None:
    caches.runs[KEY] = task_run(WAITING, annotations={names.ANNOTATION_IMPORTED: names.IMPORT_INCOMPLETE})
    caches.add("s1", accepts=False)
    caches.cache.run_changed(KEY)
    caches.marked.clear()

    caches.runs[KEY] = task_run(WAITING, annotations={names.ANNOTATION_IMPORTED: "2026-03-01T12:00:00Z"})
    caches.cache.run_changed(KEY)

    assert caches.marked == ["s1"]


@pytest.mark.parametrize("phase", ["Consumed", "Rejected"])
def test_a_signal_that_is_decided_no_longer_waits(caches: Caches, phase: str) -> None:
    caches.add("s1")
    caches.cache.signals.apply(task_signal("s1", phase=phase))

    assert caches.names_of() == []
    assert caches.inbox(answer(consumed=("s1", "s2"))).consumed == ({"s1"} if phase == "Consumed" else set())


def test_a_deleted_signal_no_longer_waits(caches: Caches) -> None:
    sent = caches.add("s1")
    caches.cache.signals.remove(sent)

    assert caches.names_of() == []
    assert caches.inbox(answer(consumed=("s1",))) == EMPTY_INBOX


def test_a_view_has_the_signals_of_the_last_answer_and_of_those_after_it_only(caches: Caches) -> None:
    caches.runs[KEY] = task_run(WAITING | {"lastRecord": "words-i2"})
    for name in ("one", "two", "three", "four"):
        caches.add(name, name)
    answers = [
        answer("words-i1", ("one",)),
        answer("words-i2", ("two",)),
        answer("words-i3t2", ("three", "two")),
        record("words-i3", response={"status": "error"}),
    ]

    assert [signal.name for signal in caches.inbox(*answers).waiting] == ["two", "three"]


def test_a_view_has_the_decisions_that_wait_or_that_a_pod_or_an_answer_names(caches: Caches) -> None:
    caches.add("waits", decision="Approve")
    caches.add("given", "release", decision="Reject")
    caches.add("consumed", "release", decision="Approve", phase="Consumed", accepts=False)
    caches.add("event")
    caches.add("other", "release", decision="Approve")
    given = pod(annotations={names.ANNOTATION_SIGNALS: "given,event,unknown"})

    inbox = caches.inbox(answer(waits_for=("go",), consumed=("consumed", "event")), pods=(given,))

    assert {name: decision.decision for name, decision in inbox.decisions.items()} == {
        "waits": "Approve",
        "given": "Reject",
        "consumed": "Approve",
    }


def test_a_view_does_not_change_with_the_signals_that_arrive_later(caches: Caches) -> None:
    caches.add("s1", decision="Approve")
    before = caches.inbox(answer(waits_for=("go",), consumed=("s1",)))
    kept = deepcopy(before)

    caches.cache.signals.apply(task_signal("s1", phase="Consumed"))
    caches.add("s2")

    assert before == kept
    assert [signal.name for signal in before.waiting] == ["s1"]


def test_a_run_without_signals_shares_one_empty_value(caches: Caches) -> None:
    caches.add("s1")

    assert caches.inbox(record("words-i1", response={"status": "continue"}), pods=(pod(),)) is EMPTY_INBOX


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
