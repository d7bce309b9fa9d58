"""A run that has not started yet gets another start; afterwards that is refused, and never ignored in silence."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dev.harness.manifests import TASK_RUNS
from podrelay import TaskService
from podrelay.cli.main import run as podrelay
from podrelay.client import InvalidInputError, TaskFinishedError, TaskNotFoundError, TaskStartedError
from tests.support.relay import Relay

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

REFUSED = "spec.startAt and spec.delaySeconds cannot be changed: the run has already started or is finished"
SOON = "2999-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def tasks(relay: Relay) -> Iterator[TaskService]:
    for task in ("Answer", "Sleep"):
        relay.define(task)
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        yield service


def delayed(relay: Relay, name: str, **spec: object) -> None:
    relay.run(name, "answer", input={"how": "done"}, **(spec or {"delaySeconds": 3600}))
    relay.until(name, "it waits", reason="Delayed")


def test_a_delayed_run_starts_when_its_delay_is_taken_away(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "kubectl-now")
    assert relay.kubectl.patch(TASK_RUNS, "kubectl-now", {"spec": {"delaySeconds": None}})
    assert relay.finished("kubectl-now")["phase"] == "Succeeded"


def test_a_run_is_postponed_and_shows_when_it_starts(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "later")
    assert relay.kubectl.patch(TASK_RUNS, "later", {"spec": {"delaySeconds": None, "startAt": SOON}})
    status = relay.until("later", "it waits longer", nextIterationAt=SOON)
    assert (status["reason"], status["message"]) == ("Delayed", f"next pod at {SOON}")


def test_both_at_once_are_refused(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "both")
    assert "mutually exclusive" in str(relay.kubectl.patch(TASK_RUNS, "both", {"spec": {"startAt": SOON}}))


def test_a_run_that_has_started_or_finished_keeps_its_start(relay: Relay, tasks: TaskService) -> None:
    relay.run("started", "sleep", startAt="2026-01-01T00:00:00Z", input={"seconds": 60})
    relay.until("started", "it has started", phase="Running")
    for spec in ({"startAt": SOON}, {"startAt": None}, {"startAt": None, "delaySeconds": 5}):
        assert REFUSED in str(relay.kubectl.patch(TASK_RUNS, "started", {"spec": spec}))
    with pytest.raises(TaskStartedError, match="already started"):
        tasks.reschedule("started", delay=60)

    relay.abort("started")
    relay.finished("started")
    assert REFUSED in str(relay.kubectl.patch(TASK_RUNS, "started", {"spec": {"startAt": SOON}}))
    with pytest.raises(TaskFinishedError):
        tasks.reschedule("started", delay=60)


def test_a_run_that_was_aborted_before_it_started_keeps_its_start(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "aborted-early")
    relay.abort("aborted-early")
    relay.finished("aborted-early")
    assert REFUSED in str(relay.kubectl.patch(TASK_RUNS, "aborted-early", {"spec": {"delaySeconds": None}}))


def test_the_task_service_reschedules(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "serviced")
    start = datetime.now(UTC) + timedelta(hours=2)

    assert tasks.reschedule("serviced", start_at=start).next_iteration_at == start
    assert tasks.reschedule("serviced", delay=10).reason == "Delayed"
    assert tasks.wait(tasks.reschedule("serviced").id, 60).phase == "Succeeded"
    with pytest.raises(TaskNotFoundError):
        tasks.reschedule("missing")
    with pytest.raises(InvalidInputError, match="start_at"):
        tasks.reschedule("serviced", start_at=start, delay=5)


def test_a_suspended_run_can_be_rescheduled(relay: Relay, tasks: TaskService) -> None:
    delayed(relay, "suspended", delaySeconds=3600, suspend=True)
    assert tasks.reschedule("suspended").reason == "Suspended"
    tasks.resume("suspended")
    assert relay.finished("suspended")["phase"] == "Succeeded"


def test_the_command_line_reschedules(relay: Relay, tasks: TaskService, capfd: pytest.CaptureFixture[str]) -> None:
    delayed(relay, "commanded")
    place = ("--namespace", relay.kubectl.namespace, "--kubeconfig", str(relay.kubectl.kubeconfig))

    assert podrelay(["reschedule", "commanded", "--start-at", SOON, *place]) == 0
    assert capfd.readouterr().out == f"taskrun.podrelay.dev/commanded starts at {SOON}\n"
    assert podrelay(["reschedule", "commanded", "--start-at", "2999-01-01T00:00:00", *place]) == 1
    assert "start_at: needs a time zone" in capfd.readouterr().err
    assert podrelay(["reschedule", "commanded", *place]) == 2
    assert "give one of --start-at, --delay and --now" in capfd.readouterr().err
    assert podrelay(["reschedule", "commanded", "--now", *place]) == 0
    assert capfd.readouterr().out == "taskrun.podrelay.dev/commanded starts now\n"
    assert relay.finished("commanded")["phase"] == "Succeeded"


def test_changes_at_the_moment_of_the_start_are_never_ignored_in_silence(relay: Relay, tasks: TaskService) -> None:
    """Each of these runs is postponed while its first pod is being created: it waits, or says that it was too late."""
    names = [f"racing-{number}" for number in range(20)]
    for name in names:
        relay.run(name, "answer", input={"how": "done"}, delaySeconds=1)
    for name in names:
        try:
            tasks.reschedule(name, start_at=datetime(2999, 1, 1, tzinfo=UTC))
        except (TaskStartedError, TaskFinishedError):
            assert relay.finished(name)["phase"] == "Succeeded"
        else:
            relay.until(name, "it waits", nextIterationAt=SOON)
            assert relay.pods(name) == []
