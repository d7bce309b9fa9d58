"""The scenarios of tests/support/scenarios.py with pods and a real API server, all of them at the same time."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dev.harness.manifests import TASK_RUNS, Manifest, task_run
from dev.harness.waiting import eventually
from podrelay import TaskDefinition
from podrelay.api import names
from podrelay.cli.manifests import manifest
from tests.support import scenario_tasks
from tests.support.outcomes import Evidence, outcome_of
from tests.support.relay import FINISHED, Relay
from tests.support.scenarios import REFUSALS, SCENARIOS, Abort, Refusal, Scenario
from tests.support.watching import Watch, watching

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev, pytest.mark.timeout(600)]

PATIENCE = 240
"""In seconds. A hundred pods start at once, each a process that imports pydantic."""
TASKS_FILE = str(Path(scenario_tasks.__file__))


@pytest.fixture(scope="module")
def watch(relay: Relay, user: str) -> Iterator[Watch]:
    """Start all scenarios, and carry out the actions of users."""
    classes = {item for scenario in SCENARIOS for item in (scenario.task, *scenario.children)}
    applied = relay.kubectl.apply(*map(definition, sorted(classes, key=lambda item: item.id)))
    assert applied, str(applied)
    with watching(relay.kubectl) as watch:
        # Runs with an action come first, so that aborts do not have to wait for the others.
        ordered = sorted(SCENARIOS, key=lambda scenario: scenario.meanwhile is None)
        created = relay.kubectl.create(*map(run, ordered))
        assert created, str(created)
        signals = [signal(scenario, number, user) for scenario in ordered for number in range(len(scenario.signals))]
        send(relay, [item for item, is_early in signals if is_early])
        for scenario in ordered:
            for number, sent in enumerate(scenario.signals):
                if not sent.early:
                    wait_for_reason(watch, scenario.name, "WaitingForSignal")
                    send(relay, [signal(scenario, number, user)[0]])
        for scenario in ordered:
            if scenario.meanwhile is not None:
                interfere(relay, watch, scenario.name, scenario.meanwhile)
        yield watch


def definition(item: type[TaskDefinition]) -> Manifest:
    """Return the definition that an author would apply, except for the path of the module."""
    return manifest(item, TASKS_FILE, "local")


def run(scenario: Scenario) -> Manifest:
    name = names.definition_name(scenario.task.id)
    return task_run(scenario.name, name, input=scenario.input, **scenario.spec)


def signal(scenario: Scenario, number: int, user: str) -> tuple[Manifest, bool]:
    """Return a signal of a scenario, and whether it is sent before the run waits for it."""
    sent = scenario.signals[number]
    spec = {"taskRun": scenario.name, "signal": sent.name, "payload": sent.payload, "decision": sent.decision}
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": "TaskSignal",
        "metadata": {
            "name": sent.key or f"{scenario.name}-{number}",
            "annotations": {names.ANNOTATION_CREATED_BY: user},
        },
        "spec": {field: value for field, value in spec.items() if value is not None},
    }
    return manifest, sent.early


def send(relay: Relay, signals: list[Manifest]) -> None:
    for item in signals:
        created = relay.kubectl.create(item)
        assert created or "already exists" in str(created), str(created)


def wait_for_reason(watch: Watch, name: str, reason: str) -> None:
    wait(watch, name, f"it shows {reason}", lambda: status_of(watch, name).get("reason") == reason)


def interfere(relay: Relay, watch: Watch, name: str, abort: Abort) -> None:
    def is_time() -> bool:
        is_running = abort.waits or any(record["runName"] == name for record in watch.newest("taskiterations"))
        return is_running and status_of(watch, name).get("reason") == abort.reason

    wait(watch, name, f"it shows {abort.reason}", is_time)
    patched = relay.kubectl.patch(TASK_RUNS, name, {"spec": {"abort": {"message": abort.message}}})
    assert patched, str(patched)


def status_of(watch: Watch, name: str) -> dict[str, Any]:
    states = watch.states("taskruns", name)
    return states[-1].get("status", {}) if states else {}


def wait(watch: Watch, name: str, what: str, check: Callable[[], Any]) -> None:
    try:
        eventually(f"{name}: {what}", check, PATIENCE)
    except AssertionError as error:
        raise AssertionError(f"{error}\nthe status is {status_of(watch, name)}") from error


def evidence_of(watch: Watch, name: str) -> Evidence:
    records = [
        record for record in watch.newest("taskiterations") if record["runName"] == name and "hook" not in record
    ]
    records.sort(key=lambda record: (record["iteration"], record["try"]))
    children = [
        evidence_of(watch, other["metadata"]["name"])
        for other in watch.newest("taskruns")
        if other["spec"].get("parent") == name
    ]
    is_deleted = watch.is_deleted("taskruns", name)
    return Evidence(watch.states("taskruns", name)[-1], tuple(records), tuple(children), is_deleted)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_has_the_expected_outcome(watch: Watch, scenario: Scenario) -> None:
    name, expected = scenario.name, scenario.expected
    wait(watch, name, "it is finished", lambda: status_of(watch, name).get("phase") in FINISHED)
    called = len(expected.hooks)
    wait(watch, name, "its hooks have been called", lambda: len(status_of(watch, name).get("hooks", ())) == called)
    if expected.is_deleted:
        wait(
            watch,
            name,
            "it is deleted with its descendants",
            lambda: all(member.is_deleted for member in evidence_of(watch, name).family()),
        )

    evidence = evidence_of(watch, name)
    assert outcome_of(evidence) == expected
    scenario.check(evidence)
    if scenario.shows is not None:
        shown = [state.get("status", {}) for state in watch.states("taskruns", name)]
        assert scenario.shows in {(status.get("phase"), status.get("reason")) for status in shown}


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
@pytest.mark.usefixtures("watch")
def test_a_run_is_refused_with_words(relay: Relay, refusal: Refusal) -> None:
    name = names.definition_name(refusal.task.id)

    # The policy reads definitions from a cache of the API server, which may not have the definition yet.
    def refused() -> str:
        created = relay.kubectl.create(task_run(refusal.name, name, **refusal.spec), flags=("--dry-run=server",))
        return "" if created else str(created)

    assert refusal.words in eventually("it is refused", refused)


@pytest.mark.parametrize("name", ["done-output", "error-text", "aborted-by-itself", "abort-while-it-works"])
def test_a_finished_run_cannot_be_aborted_and_stays_as_it_is(relay: Relay, watch: Watch, name: str) -> None:
    wait(watch, name, "it is finished", lambda: status_of(watch, name).get("phase") in FINISHED)
    before = status_of(watch, name)

    refused = relay.kubectl.patch(TASK_RUNS, name, {"spec": {"abort": {"message": "too late"}}})

    assert not refused
    assert "spec.abort" in str(refused)
    assert relay.status(name) == before
