"""Which changes of a status cause an Event, and that bursts are limited."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from podrelay.kube.errors import AlreadyExistsError
from podrelay.kube.resources import Resource
from podrelay.operator import event_recorder, event_rules
from podrelay.operator.event_recorder import Events
from podrelay.operator.event_rules import News
from podrelay.operator.objects.metadata import Metadata
from podrelay.operator.objects.runs import TaskRunStatus

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = {
    "phase": "Running",
    "reason": "IterationRunning",
    "startedAt": "2026-01-02T03:04:05Z",
    "current": {"iteration": 1, "try": 1, "podName": "words-i1", "podUID": "uid-1"},
}


def metadata(uid: str) -> Metadata:
    about = {"name": "words", "namespace": "shop", "uid": uid, "resourceVersion": "1"}
    return msgspec.convert(about | {"creationTimestamp": "2026-01-02T03:04:05Z"}, Metadata)


RUN = metadata("uid-words")


def status(**fields: Any) -> TaskRunStatus:
    return msgspec.convert(fields, TaskRunStatus)


def events_of(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, bool]]:
    news = event_rules.of_change(status(**before), status(**after))
    return [(one.reason, one.message, one.is_warning) for one in news]


def ended(iteration: int, try_: int, answer: str, message: str = "") -> dict[str, Any]:
    name = f"words-i{iteration}" + (f"t{try_}" if try_ > 1 else "")
    entry = {"iteration": iteration, "try": try_, "podName": name, "answer": answer}
    return entry | ({"message": message} if message else {})


def stalled(reason: str, message: str) -> dict[str, Any]:
    condition = {"type": "Stalled", "status": "True", "reason": reason, "lastTransitionTime": "2026-01-02T03:04:05Z"}
    return {"phase": "Pending", "reason": reason, "message": message, "conditions": [condition]}


def test_a_run_starts_only_once() -> None:
    assert events_of({}, RUNNING) == [("Started", "iteration 1 in pod words-i1", False)]
    second = RUNNING | {"current": {"iteration": 2, "try": 1, "podName": "words-i2", "podUID": "uid-2"}}
    assert events_of(RUNNING, second) == []


def test_a_healthy_chain_has_no_events_in_between() -> None:
    waiting = RUNNING | {"reason": "Waiting", "recentIterations": [ended(1, 1, "continue")]}
    del waiting["current"]

    assert events_of(RUNNING, waiting) == []
    assert events_of(waiting, RUNNING) == []


@pytest.mark.parametrize(("phase", "is_warning"), [("Succeeded", False), ("Failed", True), ("Aborted", False)])
def test_the_end_is_an_event_with_its_reason(phase: str, is_warning: bool) -> None:
    final = {"phase": phase, "reason": "Because", "message": "of this", "attempts": 3}

    assert events_of(RUNNING, final) == [(phase, "Because: of this", is_warning)]
    assert events_of(final, final | {"hooks": [{"name": "onDone", "outcome": "Succeeded"}]}) == []


def test_a_failed_attempt_and_a_disruption_are_events_with_the_pod() -> None:
    retrying = {"phase": "Running", "reason": "Retrying", "startedAt": "2026-01-02T03:04:05Z"}
    failed = retrying | {"attempts": 1, "recentIterations": [ended(1, 1, "error", "no such file")]}
    lost = retrying | {"disruptions": 1, "recentIterations": [ended(1, 1, "none", "pod was deleted")]}

    assert events_of(RUNNING, failed) == [("TryFailed", "iteration 1, attempt 1 in pod words-i1: no such file", True)]
    assert events_of(RUNNING, lost) == [("Disrupted", "iteration 1, attempt 1 in pod words-i1: pod was deleted", True)]


def test_a_stalled_run_has_one_event_for_each_reason() -> None:
    quota, account = stalled("QuotaExceeded", "too many"), stalled("ServiceAccountMissing", "none")

    assert events_of({}, quota) == [("Stalled", "QuotaExceeded: too many", True)]
    assert events_of(quota, quota | {"message": "still too many"}) == []
    assert events_of(quota, account) == [("Stalled", "ServiceAccountMissing: none", True)]
    assert events_of(quota, RUNNING) == [("Started", "iteration 1 in pod words-i1", False)]


# --- creation ---------------------------------------------------------------------------------------------------------


class Api:
    """Accepts Events; refuses one whose name exists."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    async def create(self, _resource: Resource, namespace: str, body: dict[str, Any]) -> bytes:
        if body["metadata"]["name"] in {event["metadata"]["name"] for event in self.made}:
            raise AlreadyExistsError(409, "AlreadyExists", "already exists")
        self.made.append(body | {"namespace": namespace})
        self.news.set()
        return b""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_recorder, "_PER_SECOND", 1000.0)


def news(key: str, is_warning: bool = False) -> News:
    return News("Failed" if is_warning else "Succeeded", "words", is_warning, key)


async def made(api: Api, count: int) -> None:
    async with asyncio.timeout(10):
        while len(api.made) < count:
            await api.news.wait()
            api.news.clear()


async def test_they_are_created_in_the_background_and_only_once(quick: None) -> None:
    api = Api()
    ours, of_another = (Events(api, lambda: NOW) for _ in range(2))  # type: ignore[arg-type]
    ours.happened(RUN, [news("finished"), news("failed", is_warning=True)])
    of_another.happened(RUN, [news("finished")])
    tasks = [asyncio.create_task(one.run()) for one in (ours, of_another)]
    ours.happened(metadata("uid-later"), [news("finished")])

    await made(api, 3)

    for task in tasks:
        task.cancel()
    assert [event["type"] for event in api.made] == ["Warning", "Normal", "Normal"]
    event = api.made[0]
    assert event["involvedObject"] == {
        "apiVersion": "podrelay.dev/v1alpha1",
        "kind": "TaskRun",
        "name": "words",
        "uid": "uid-words",
        "namespace": "shop",
    }
    assert (event["namespace"], event["reason"], event["message"]) == ("shop", "Failed", "words")


async def test_a_burst_drops_events_of_healthy_runs_and_keeps_the_warnings(quick: None) -> None:
    api, dropped = Api(), list[None]()
    ours = Events(api, lambda: NOW, lambda: dropped.append(None))  # type: ignore[arg-type]
    ours.happened(RUN, [news(f"well {number}") for number in range(500)])
    ours.happened(RUN, [news(f"badly {number}", is_warning=True) for number in range(500)])
    task = asyncio.create_task(ours.run())

    await made(api, 550)

    task.cancel()
    assert [event["type"] for event in api.made] == ["Warning"] * 500 + ["Normal"] * 50
    assert len(dropped) == 450


async def test_there_are_at_most_five_a_second_after_the_first_25(monkeypatch: pytest.MonkeyPatch) -> None:
    api, waits = Api(), list[float]()
    ours = Events(api, lambda: NOW)  # type: ignore[arg-type]
    ours.happened(RUN, [news(f"badly {number}", is_warning=True) for number in range(30)])
    asleep = asyncio.Event()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        asleep.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("podrelay.operator.event_recorder.asyncio.sleep", sleep)
    task = asyncio.create_task(ours.run())
    await asyncio.wait_for(asleep.wait(), 10)
    task.cancel()

    assert len(api.made) == 25
    assert 0.1 < waits[0] <= 0.2
