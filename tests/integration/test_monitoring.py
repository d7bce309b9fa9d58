"""The view of administrators and alerts on runs: Events, and metrics by definition."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from dev.harness.kubectl import Manifest
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.relay import Relay

pytestmark = pytest.mark.integration


@pytest.fixture
def operator(idle_relay: Relay, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(idle_relay.kubectl, tmp_path / "operator") as running:
        yield running


def events_of(relay: Relay, run: str) -> list[Manifest]:
    selector = f"--field-selector=involvedObject.kind=TaskRun,involvedObject.name={run}"
    items: list[Manifest] = json.loads(relay.kubectl.do("get", "events", selector, "--output=json"))["items"]
    return sorted(items, key=lambda event: (event["firstTimestamp"], event["reason"] != "Started"))


def reasons_of(relay: Relay, run: str, count: int) -> list[str]:
    """Return the reasons of at least so many Events, without Stalled.

    On a busy machine, a pod may start late, or its heartbeat may be late, and the run is stalled for a moment.
    """

    def reasons() -> list[str]:
        return [event["reason"] for event in events_of(relay, run) if event["reason"] != "Stalled"]

    eventually("its Events are there", lambda: len(reasons()) >= count)
    return reasons()


def test_a_healthy_chain_has_two_events_and_a_failed_run_one_for_each_attempt(
    idle_relay: Relay, operator: OperatorProcess
) -> None:
    relay = idle_relay
    relay.define("Chain")
    relay.define("Answer", retry={"limit": 1, "initialSeconds": 1})
    relay.run("healthy", "chain", input={"length": 4})
    relay.run("broken", "answer", input={"how": "error"})
    relay.finished("healthy")
    relay.finished("broken")

    assert reasons_of(relay, "healthy", 2) == ["Started", "Succeeded"]
    assert sorted(reasons_of(relay, "broken", 3)) == ["Failed", "Started", "TryFailed"]
    events = {event["reason"]: event for event in events_of(relay, "broken")}
    assert (events["TryFailed"]["type"], events["Started"]["type"]) == ("Warning", "Normal")
    assert events["TryFailed"]["message"] == "iteration 1, attempt 1 in pod broken-i1: no such file"
    assert events["Failed"]["message"].startswith("TaskFailed: ")
    assert "no such file" in relay.kubectl.do("describe", "taskrun.podrelay.dev", "broken")


def test_stalled_and_disrupted_runs_have_one_event_each(idle_relay: Relay, operator: OperatorProcess) -> None:
    relay = idle_relay
    relay.define("Stubborn", abortGracePeriodSeconds=1)
    relay.run("lost", "stubborn")
    eventually("it works", lambda: relay.calls("lost"))
    relay.evict("lost-i1")
    relay.run("nowhere", "no-such-definition")
    relay.until("nowhere", "it is stalled", reason="DefinitionNotFound")

    assert reasons_of(relay, "lost", 2)[:2] == ["Started", "Disrupted"]
    (stalled,) = events_of(relay, "nowhere")
    assert stalled["reason"] == "Stalled"
    assert stalled["message"].startswith("DefinitionNotFound: ")
    relay.abort("lost")
    relay.finished("lost")


def test_alerts_find_metrics_of_each_definition(idle_relay: Relay, operator: OperatorProcess) -> None:
    relay, namespace = idle_relay, idle_relay.kubectl.namespace
    relay.define("Answer", "nightly-totals")
    relay.define("Answer", "idle")
    relay.run("well", "nightly-totals", input={"how": "done"})
    relay.run("badly", "nightly-totals", input={"how": "error"})
    relay.run("held", "nightly-totals", input={"how": "done"}, suspend=True)
    relay.finished("well")
    relay.finished("badly")
    relay.until("held", "it waits", reason="Suspended")

    def figure(name: str, definition: str = "nightly-totals", **labels: str) -> float:
        return operator.metric(name, namespace=namespace, definition=definition, **labels)

    assert figure("podrelay_runs", state="suspended") == 1
    assert figure("podrelay_runs", "idle", state="running") == 0
    assert figure("podrelay_runs_finished_total", phase="Succeeded") == 1
    assert figure("podrelay_runs_finished_total", phase="Failed") == 1
    assert figure("podrelay_run_seconds_count") == 2
    well, badly = relay.get("well"), relay.get("badly")
    assert figure("podrelay_last_success_timestamp_seconds") == seconds_of(well)
    assert figure("podrelay_last_failure_timestamp_seconds") == seconds_of(badly)


def seconds_of(run: Manifest) -> float:
    return datetime.fromisoformat(run["status"]["finishedAt"]).timestamp()
