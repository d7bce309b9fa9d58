"""`TaskService.signal` and `podrelay signal`, with the real operator and runner, also with `podrelay dev`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dev.harness import forked
from dev.harness.waiting import eventually
from podrelay import AsyncTaskService, TaskService
from podrelay.cli.manifests import manifest
from podrelay.client import InvalidInputError, SignalConflictError, TaskFinishedError, TaskNotFoundError
from tests.support import scenario_tasks
from tests.support.relay import Relay

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]


class Payment(BaseModel):
    amount: int


@pytest.fixture(scope="module")
def tasks(relay: Relay) -> Iterator[TaskService]:
    """The service in a namespace where tasks that wait for signals run."""
    for task in (scenario_tasks.Waiter, scenario_tasks.Scripted):
        applied = relay.kubectl.apply(manifest(task, str(Path(scenario_tasks.__file__)), "local"))
        assert applied, str(applied)
    with TaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        yield service


def waiting(tasks: TaskService, **wait: Any) -> str:
    """Start a run that waits, and return its id when it does."""
    run = tasks.trigger("waiter", {"waits": [{"seconds": 3600, **wait}]}).id
    eventually("it waits", lambda: tasks.get(run).reason == "WaitingForSignal")
    return run


def test_a_signal_reaches_the_run_and_shows_what_became_of_it(tasks: TaskService, user: str) -> None:
    run = waiting(tasks, signal="payment")

    sent = tasks.signal(run, "payment", Payment(amount=3), key="payment-1")

    assert (sent.phase, sent.signal, sent.payload, sent.sender) == ("Pending", "payment", {"amount": 3}, user)
    assert (tasks.wait(run, timeout=60).output or {})["2"]["got"] == ["payment 3"]
    (known,) = tasks.signals(run)
    assert (known.key, known.phase, known.iteration) == (sent.key, "Consumed", 2)
    again = tasks.signal(run, "payment", {"amount": 3}, key="payment-1")
    assert (again.key, again.phase) == (sent.key, "Consumed"), "sent before, so a repeated call is not an error"


def test_a_signal_that_would_be_rejected_is_not_sent(tasks: TaskService) -> None:
    run = waiting(tasks, signal="payment")

    with pytest.raises(InvalidInputError, match="amount"):
        tasks.signal(run, "payment", {"amount": "much"})
    with pytest.raises(InvalidInputError, match="it knows: payment, note, release"):
        tasks.signal(run, "refund")
    with pytest.raises(InvalidInputError, match="64 KiB"):
        tasks.signal(run, "note", {"text": "x" * 70_000})
    with pytest.raises(TaskNotFoundError):
        tasks.signal("no-such-run", "payment")
    assert tasks.signals(run) == []
    tasks.abort(run)
    tasks.wait(run, timeout=60)
    with pytest.raises(TaskFinishedError, match="has finished"):
        tasks.signal(run, "payment", {"amount": 3})


def test_a_key_identifies_one_event(tasks: TaskService) -> None:
    run = waiting(tasks, signal="note", count=2)

    first = tasks.signal(run, "note", {"text": "a"}, key="k")
    assert tasks.signal(run, "note", {"text": "a"}, key="k").key == first.key
    with pytest.raises(SignalConflictError, match="another key"):
        tasks.signal(run, "note", {"text": "b"}, key="k")
    assert len(tasks.signals(run)) == 1
    tasks.abort(run)


async def test_the_asynchronous_service_sends_signals(tasks: TaskService, relay: Relay) -> None:
    run = await asyncio.to_thread(waiting, tasks, signal="release")

    async with AsyncTaskService(relay.kubectl.namespace, kubeconfig=relay.kubectl.kubeconfig) as service:
        await service.signal(run, "release", decision="Reject")
        ended = await service.wait(run, timeout=60)

    assert (ended.output or {})["2"]["approved"] is False


def podrelay(relay: Relay, *arguments: str) -> tuple[int, str]:
    environment = relay.kubectl.env | {"KUBECONFIG": str(relay.kubectl.kubeconfig)}
    ended = forked.command([*arguments, "--namespace", relay.kubectl.namespace], environment, "")
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


def test_the_command_sends_a_signal_or_a_decision(tasks: TaskService, relay: Relay) -> None:
    run = waiting(tasks, signal=["payment", "release"])

    code, text = podrelay(relay, "signal", run, "payment", "--payload", '{"amount": "much"}')
    assert code != 0
    assert "amount" in text
    code, text = podrelay(relay, "signal", run, "release", "--approve", "--reject")
    assert "exclude each other" in text
    code, text = podrelay(relay, "signal", run, "release", "--approve", "--key", "a")
    assert (code, text.split()[-1]) == (0, "sent"), text
    assert (tasks.wait(run, timeout=60).output or {})["2"]["approved"] is True
    code, text = podrelay(relay, "signal", run, "release", "--approve", "--key", "a")
    assert (code, "was consumed by iteration 2" in text) == (0, True), text
