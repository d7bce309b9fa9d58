"""Limits of concurrent runs, and the queue, on a real API server."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.relay import FINISHED, Relay

pytestmark = pytest.mark.integration


def live_pods(relay: Relay, definition: str) -> list[str]:
    """Return the runs of a definition that have a pod which has not ended."""
    pods = relay.kubectl.do("get", "pods", f"--selector=podrelay.dev/definition={definition}", "--output=json")
    return [
        pod["metadata"]["labels"]["podrelay.dev/run"]
        for pod in _items(pods)
        if pod["status"].get("phase") not in {"Succeeded", "Failed"}
    ]


def _items(text: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(text)["items"]
    return items


def watch_until_all_have_ended(relay: Relay, definition: str, names: list[str], seconds: float = 60) -> int:
    """Poll the pods until all runs have succeeded; return the maximum number that existed at once."""
    most = 0
    deadline = time.monotonic() + seconds
    while any(relay.status(name).get("phase") not in FINISHED for name in names):
        most = max(most, len(live_pods(relay, definition)))
        assert time.monotonic() < deadline, {name: relay.status(name) for name in names}
    assert {relay.status(name)["phase"] for name in names} == {"Succeeded"}
    return most


def started(relay: Relay, name: str) -> str:
    """Return the time when the first pod of a run reported its start."""
    moment: str = relay.records(name)[0]["startedAt"]
    return moment


def by_age(relay: Relay, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (relay.get(name)["metadata"]["creationTimestamp"], name))


def test_two_of_six_runs_have_a_pod_at_a_time(relay: Relay) -> None:
    relay.define("Chain", "two-of-six", maxConcurrentRuns=2)
    names = [f"six{number}" for number in (6, 5, 4, 3, 2, 1)]
    for name in names:
        relay.run(name, "two-of-six", input={"length": 1, "works": 1})

    assert watch_until_all_have_ended(relay, "two-of-six", names) == 2
    assert all("queuePosition" not in relay.status(name) for name in names)


def test_the_oldest_run_goes_first_regardless_of_its_name(relay: Relay) -> None:
    relay.define("Sleep", "by-age", maxConcurrentRuns=1)
    relay.run("before", "by-age")
    relay.until("before", "it works", reason="IterationRunning")
    names = ["z-age", "m-age", "a-age"]
    for name in names:
        relay.run(name, "by-age")
        relay.until(name, "it waits", reason="Queued")

    running = "before"
    for name in by_age(relay, names):
        relay.abort(running)
        relay.until(name, "it works", reason="IterationRunning")
        running = name
    relay.abort(running)


def test_a_queued_run_shows_its_place_and_the_definition_the_length_of_the_queue(relay: Relay) -> None:
    relay.define("Sleep", "one-sleeper", maxConcurrentRuns=1)
    relay.run("awake", "one-sleeper")
    relay.until("awake", "it works", reason="IterationRunning")
    for name in ("place1", "place2"):
        relay.run(name, "one-sleeper")
        relay.until(name, "it waits", reason="Queued")

    second = relay.status("place2")
    assert (second["phase"], second["queuePosition"]) == ("Pending", 2)
    assert second["message"] == "number 2 in the queue of one-sleeper: 1 of at most 1 runs have a pod"
    assert relay.pods("place2") == []

    def numbers() -> bool:
        status = relay.kubectl.get(TASK_DEFINITIONS, "one-sleeper")["status"]
        return (status.get("activeRuns"), status.get("queuedRuns")) == (1, 2)

    eventually("the definition shows the numbers", numbers, 30)
    conditions = relay.kubectl.get(TASK_DEFINITIONS, "one-sleeper")["status"]["conditions"]
    assert {item["type"] for item in conditions} == {"Ready", "Stalled"}

    relay.abort("place1")
    assert relay.finished("place1", 10)["phase"] == "Aborted"
    moved = relay.until("place2", "its place has halved", queuePosition=1)
    assert moved["message"].startswith("number 1 in the queue")

    relay.abort("awake")
    working = relay.until("place2", "it works", reason="IterationRunning")
    assert "queuePosition" not in working
    relay.abort("place2")
    relay.finished("place2")


def test_runs_with_the_same_value_go_one_after_the_other_and_others_pass_them(relay: Relay) -> None:
    relay.define("Sleep", "each-customer", concurrency={"key": "customer.id"})
    relay.run("acme1", "each-customer", input={"customer": {"id": "acme"}})
    relay.until("acme1", "it works", reason="IterationRunning")
    relay.run("acme2", "each-customer", input={"customer": {"id": "acme"}})
    relay.until("acme2", "it waits", reason="Queued", concurrencyKey='"acme"')
    relay.run("other1", "each-customer", input={"customer": {"id": "other"}})
    relay.until("other1", "it works", reason="IterationRunning", concurrencyKey='"other"')

    assert relay.status("acme2")["message"] == (
        "number 1 in the queue of each-customer: 1 of at most 1 runs with the same customer.id have a pod"
    )
    relay.abort("acme1")
    relay.until("acme2", "it works", reason="IterationRunning")
    for name in ("acme2", "other1"):
        relay.abort(name)
        relay.finished(name)


def test_a_waiting_or_suspended_run_releases_its_slot(relay: Relay) -> None:
    relay.define("Chain", "waits-between", maxConcurrentRuns=1)
    relay.define("Sleep", "sleeps-between", maxConcurrentRuns=1)
    relay.run("waits", "waits-between", input={"length": 2, "seconds": 3})
    relay.run("passes", "waits-between", input={"length": 1})

    relay.until("waits", "it waits", reason="Waiting")
    assert relay.finished("passes")["phase"] == "Succeeded"
    assert relay.finished("waits")["iterations"] == 2
    assert started(relay, "passes") < relay.records("waits")[1]["startedAt"]

    relay.run("held", "sleeps-between")
    relay.until("held", "it works", reason="IterationRunning")
    relay.run("resumes", "sleeps-between")
    relay.until("resumes", "it waits", reason="Queued")
    assert relay.kubectl.patch(TASK_RUNS, "resumes", {"spec": {"suspend": True}})
    suspended = relay.until("resumes", "it is suspended", reason="Suspended")
    assert "queuePosition" not in suspended
    assert relay.kubectl.patch(TASK_RUNS, "resumes", {"spec": {"suspend": False}})
    relay.until("resumes", "it queues again", reason="Queued", queuePosition=1)
    for name in ("resumes", "held"):
        relay.abort(name)
        relay.finished(name)


def test_a_raised_limit_applies_immediately(relay: Relay) -> None:
    relay.define("Sleep", "raised", maxConcurrentRuns=1)
    relay.run("raised1", "raised")
    relay.until("raised1", "it works", reason="IterationRunning")
    relay.run("raised2", "raised")
    relay.until("raised2", "it waits", reason="Queued")

    relay.define("Sleep", "raised", maxConcurrentRuns=2)

    relay.until("raised2", "it works", reason="IterationRunning")
    for name in ("raised1", "raised2"):
        relay.abort(name)
        relay.finished(name)


@pytest.mark.parametrize("limit", [{"maxConcurrentRuns": 1}, {"concurrency": {"key": "customer"}}, {}])
def test_a_new_operator_counts_running_runs_and_keeps_the_queue(
    idle_relay: Relay, tmp_path: Path, limit: dict[str, Any]
) -> None:
    relay = idle_relay
    flags = () if limit else ("--max-running-pods=1",)
    relay.define("Sleep", "survivors", **limit)
    with OperatorProcess(relay.kubectl, tmp_path / "operator", flags=flags) as operator:
        for name in ("b-works", "c-waits"):
            relay.run(name, "survivors", input={"customer": 1})
            reason = "IterationRunning" if name == "b-works" else "Queued"
            relay.until(name, "it cannot continue", reason=reason)
        operator.kill()
    relay.kubectl.do("delete", "lease", "podrelay-operator")  # so that no operator has to wait until it expires
    # Without an operator, another run is created. Its name is the first of all, but it is not older than the waiting
    # one.
    eventually("a second is over", lambda: _is_a_second_old(relay, "c-waits"))
    relay.run("a-young", "survivors", input={"customer": 1})

    with OperatorProcess(relay.kubectl, tmp_path / "operator", flags=flags):
        relay.until("a-young", "it waits", reason="Queued", queuePosition=2)
        assert live_pods(relay, "survivors") == ["b-works"]
        relay.abort("b-works")
        relay.until("c-waits", "the older one works", reason="IterationRunning")
        assert relay.status("a-young")["reason"] == "Queued"
        assert live_pods(relay, "survivors") == ["c-waits"]


def _is_a_second_old(relay: Relay, name: str) -> bool:
    created = datetime.fromisoformat(relay.get(name)["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds() > 1.5
