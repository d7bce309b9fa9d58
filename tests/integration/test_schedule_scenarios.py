"""The scenarios of tests/support/schedulescenarios.py on a real API server with a real operator, all at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.quick import QuickKubectl
from tests.support.schedules import TASK_SCHEDULES, task_schedule
from tests.support.schedulescenarios import END_SECONDS, SCENARIOS, Outcome, ScheduleScenario, first_time, outcome_of

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def outcomes(shared: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Play all scenarios, and return their outcomes."""
    kubectl = QuickKubectl.instead_of(shared)
    with OperatorProcess(shared, tmp_path_factory.mktemp("schedules")) as operator:
        begin = first_time(datetime.now(UTC))
        for scenario in SCENARIOS:
            created = kubectl.create(task_schedule(scenario.name, "missing", **scenario.spec_from(begin)))
            assert created, str(created)
        steps = [(step.seconds, scenario, step) for scenario in SCENARIOS for step in scenario.steps]
        for seconds, scenario, step in sorted(steps, key=lambda item: item[0]):
            wait_until(begin + timedelta(seconds=seconds))
            if step.action == "patch":
                assert kubectl.patch(TASK_SCHEDULES, scenario.name, {"spec": step.spec})
            else:
                end_runs(kubectl, scenario)
        wait_until(begin + timedelta(seconds=END_SECONDS))
        assert "Traceback" not in operator.text, operator.text
        return {scenario.name: outcome_of(status(kubectl, scenario.name)) for scenario in SCENARIOS}


def wait_until(moment: datetime) -> None:
    eventually(f"it is {moment}", lambda: datetime.now(UTC) >= moment, 60)


def end_runs(kubectl: QuickKubectl, scenario: ScheduleScenario) -> None:
    for run in kubectl.objects(TASK_RUNS, "--selector", f"podrelay.dev/schedule={scenario.name}"):
        if run.get("status", {}).get("phase") != "Aborted":
            assert kubectl.patch(TASK_RUNS, run["metadata"]["name"], {"spec": {"abort": {}}})


def status(kubectl: QuickKubectl, name: str) -> dict[str, Any]:
    found: dict[str, Any] = kubectl.get(TASK_SCHEDULES, name)["status"]
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_has_the_expected_outcome(outcomes: dict[str, Outcome], scenario: ScheduleScenario) -> None:
    assert outcomes[scenario.name] == scenario.expected
