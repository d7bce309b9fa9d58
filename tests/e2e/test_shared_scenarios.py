"""Scenarios of signals and schedules, which also run in virtual time and on a bare API server, with real pods."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from dev.harness.manifests import TASK_RUNS
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support import scenario_tasks
from tests.support.outcomes import Evidence, outcome_of
from tests.support.realpods import RealRelay
from tests.support.scenarios import SCENARIOS, Scenario, Sent
from tests.support.schedules import TASK_SCHEDULES, task_schedule
from tests.support.schedulescenarios import END_SECONDS, ScheduleScenario, first_time
from tests.support.schedulescenarios import SCENARIOS as SCHEDULE_SCENARIOS
from tests.support.schedulescenarios import outcome_of as outcome_of_schedule
from tests.support.signals import task_signal

pytestmark = pytest.mark.e2e

WITH_SIGNALS = ("signal-ends-the-wait", "signal-approval")
WITH_SCHEDULES = ("skip-after-the-end",)


def sender(relay: RealRelay) -> str:
    """Return the name of the user whom kubectl uses."""
    name: str = json.loads(relay.kubectl.do("auth", "whoami", "-o", "json"))["status"]["userInfo"]["username"]
    return name


def send(relay: RealRelay, scenario: Scenario, number: int, sent: Sent) -> None:
    spec = {"decision": sent.decision} if sent.decision is not None else {}
    name, who = sent.key or f"{scenario.name}-{number}", sender(relay)
    created = relay.kubectl.create(
        task_signal(name, scenario.name, sent.name, sender=who, payload=sent.payload, **spec)
    )
    assert created, str(created)


@pytest.mark.parametrize(
    "scenario", [item for item in SCENARIOS if item.name in WITH_SIGNALS], ids=lambda scenario: scenario.name
)
def test_a_run_waits_without_a_pod_until_its_signal_arrives(relay: RealRelay, scenario: Scenario) -> None:
    name = scenario.name
    relay.define(scenario.task.__name__, module=scenario_tasks, podCleanup="Never")
    relay.run(name, names.definition_name(scenario.task.id), input=scenario.input, **scenario.spec)
    relay.until(name, "it waits for a signal", reason="WaitingForSignal")
    ended = {"Succeeded", "Failed"}
    eventually("its pod has ended", lambda: relay.pod(f"{name}-i1")["status"]["phase"] in ended)
    assert relay.pods(name) == [f"{name}-i1"]

    for number, sent in enumerate(scenario.signals):
        send(relay, scenario, number, sent)
    relay.finished(name)

    evidence = Evidence(relay.get(name), tuple(relay.records(name)), (), is_deleted=False)
    assert outcome_of(evidence) == scenario.expected
    assert relay.pods(name) == [f"{name}-i1", f"{name}-i2"]


@pytest.mark.parametrize(
    "scenario", [item for item in SCHEDULE_SCENARIOS if item.name in WITH_SCHEDULES], ids=lambda scenario: scenario.name
)
def test_a_schedule_starts_its_runs(relay: RealRelay, scenario: ScheduleScenario) -> None:
    begin = first_time(datetime.now(UTC))
    created = relay.kubectl.create(task_schedule(scenario.name, "missing", **scenario.spec_from(begin)))
    assert created, str(created)

    for step in scenario.steps:
        wait_until(begin + timedelta(seconds=step.seconds))
        assert step.action == "end runs"
        for name in unfinished(relay, scenario.name):
            relay.abort(name)
    wait_until(begin + timedelta(seconds=END_SECONDS))

    assert outcome_of_schedule(relay.kubectl.get(TASK_SCHEDULES, scenario.name)["status"]) == scenario.expected


def unfinished(relay: RealRelay, schedule: str) -> list[str]:
    runs = relay.kubectl.names(TASK_RUNS, "--selector", f"{names.LABEL_SCHEDULE}={schedule}")
    return [name for name in runs if relay.status(name).get("phase") != "Aborted"]


def wait_until(moment: datetime) -> None:
    eventually(f"it is {moment}", lambda: datetime.now(UTC) >= moment, 60)
