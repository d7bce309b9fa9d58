"""The scenarios of tests/support/scenarios.py with `run_task`: without pods, in virtual time."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from podrelay.kube.errors import InvalidError
from podrelay.testing import Clock, SentSignal, TaskResult, run_task
from tests.support import scenario_tasks
from tests.support.outcomes import Evidence, outcome_of
from tests.support.scenarios import REFUSALS, SCENARIOS, Refusal, Scenario, Sent

SIGNAL_AFTER = 60
ABORT_AFTER = 60
"""In seconds. Runs that wait when they are aborted wait for an hour."""


def evidence_of(result: TaskResult) -> Evidence:
    children = tuple(evidence_of(child) for child in result.children)
    return Evidence(result.run, tuple(record.record for record in result.records), children, result.is_deleted)


def sent(signal: Sent) -> SentSignal:
    return SentSignal(
        signal.name,
        signal.payload,
        after=0 if signal.early else SIGNAL_AFTER,
        key=signal.key,
        sender="anna",
        decision=signal.decision,
    )


def what_happens_meanwhile(scenario: Scenario) -> dict[str, Any]:
    abort = scenario.meanwhile
    if abort is None:
        return {}
    when = {"abort_after": ABORT_AFTER} if abort.waits else {"abort_when": lambda moment: moment.questions > 0}
    return {**when, "abort_message": abort.message}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_ends_as_in_a_cluster(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(scenario_tasks, "pause", clock.advance)
    for container in (scenario.task.template or {}).get("spec", {}).get("containers", ()):
        for variable in container["env"]:
            monkeypatch.setenv(variable["name"], variable["value"])
    for variable in scenario.spec.get("overrides", {}).get("env", ()):
        monkeypatch.setenv(variable["name"], variable["value"])

    result = run_task(
        scenario.task,
        scenario.input,
        definitions=scenario.children,
        clock=clock,
        name=scenario.name,
        spec=scenario.spec,
        signals=[sent(signal) for signal in scenario.signals],
        **what_happens_meanwhile(scenario),
    )

    evidence = evidence_of(result)
    outcome = outcome_of(evidence)
    differing = {name: getattr(scenario.expected, name) for name in scenario.unlike}
    assert replace(outcome, **differing) == scenario.expected
    scenario.check(evidence)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_run_is_refused_as_in_a_cluster(refusal: Refusal) -> None:
    with pytest.raises(InvalidError) as caught:
        run_task(refusal.task, {}, name=refusal.name, spec=refusal.spec)
    assert refusal.words in caught.value.message


def test_every_scenario_has_a_unique_name() -> None:
    names = [*(scenario.name for scenario in SCENARIOS), *(refusal.name for refusal in REFUSALS)]
    assert not [name for name, count in Counter(names).items() if count > 1]
