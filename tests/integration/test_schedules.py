"""TaskSchedules on a real API server: their runs start at their times, each once."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.harness.manifests import TASK_RUNS, Manifest
from dev.harness.waiting import eventually
from tests.support.relay import Relay
from tests.support.schedules import TASK_SCHEDULES, task_schedule

pytestmark = pytest.mark.integration


def status(relay: Relay, name: str) -> Manifest:
    found: Manifest = relay.kubectl.get(TASK_SCHEDULES, name).get("status", {})
    return found


def runs_of(relay: Relay, schedule: str) -> list[Manifest]:
    names = relay.kubectl.names(TASK_RUNS, "--selector", f"podrelay.dev/schedule={schedule}")
    return [relay.get(name) for name in sorted(names)]


def apply(relay: Relay, name: str, definition: str, **spec: Any) -> None:
    applied = relay.kubectl.create(task_schedule(name, definition, **spec))
    assert applied, str(applied)


def test_a_run_starts_every_ten_seconds_and_knows_its_times(relay: Relay) -> None:
    relay.define_script(
        "echo-times",
        'printf \'{"status":"done","output":{"for":"%s","before":"%s","after":"%s"}}\' "$PODRELAY_SCHEDULED_FOR" '
        '"$PODRELAY_SCHEDULED_PREVIOUS" "$PODRELAY_SCHEDULED_NEXT" >/dev/termination-log',
    )

    apply(relay, "often", "echo-times", schedules=[{"every": "10s"}])

    def finished() -> list[Manifest]:
        return [run for run in runs_of(relay, "often") if run.get("status", {}).get("phase") == "Succeeded"]

    eventually("two of its runs have succeeded", lambda: len(finished()) >= 2, 60)
    run = finished()[0]
    time = datetime.fromisoformat(run["spec"]["scheduled"]["time"])
    assert run["metadata"]["name"] == f"often-{time:%Y%m%dt%H%M%Sz}"
    assert run["status"]["output"] == {
        "for": f"{time:%Y-%m-%dT%H:%M:%SZ}",
        "before": f"{time - timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}",
        "after": f"{time + timedelta(seconds=10):%Y-%m-%dT%H:%M:%SZ}",
    }
    assert datetime.fromisoformat(run["metadata"]["creationTimestamp"]) - time < timedelta(seconds=5)
    eventually("the status counts them", lambda: status(relay, "often").get("succeeded", 0) >= 2)
    assert len(status(relay, "often")["nextTimes"]) == 5
