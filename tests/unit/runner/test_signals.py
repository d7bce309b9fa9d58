"""The meaning of SIGTERM: an abort, or only the end of this pod."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from podrelay.runner import signals
from podrelay.runner.signals import Interruption
from tests.unit.runner.runner_fakes import RUN_UID, Clock, task_run


def begun(run: Any, clock: Clock | None = None) -> Interruption:
    """An interruption after SIGTERM; `run` is the answer of the API server, or an exception to raise."""

    def ask() -> Any:
        if isinstance(run, Exception):
            raise run
        return run

    interruption = Interruption(ask, RUN_UID, 60.0, clock or Clock())
    interruption.watch()
    interruption.begin()
    return interruption


def test_before_a_signal_nothing_is_requested() -> None:
    interruption = Interruption(lambda: pytest.fail("asked"), RUN_UID, 60.0)
    interruption.watch()

    assert (interruption.is_abort, interruption.is_stop, interruption.remaining()) == (False, False, None)
    assert interruption.abort_message is None


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (task_run(spec={"definition": "x", "abort": {"message": "wrong file"}}), "wrong file"),
        (task_run(spec={"definition": "x", "abort": {}}), None),
        (task_run(status={"phase": "Aborted"}), None),
        (task_run(status={"phase": "Failed"}), None),
        (None, "the TaskRun was deleted"),
        (task_run(metadata={"uid": "another"}), "the TaskRun was deleted"),
    ],
    ids=["abort", "abort without message", "aborted", "failed", "gone", "another run"],
)
def test_the_run_must_stop(run: Any, message: str | None) -> None:
    interruption = begun(run)

    assert (interruption.is_abort, interruption.is_stop) == (True, False)
    assert interruption.abort_message == message


@pytest.mark.parametrize("run", [task_run(), OSError("no server responds"), {"nonsense": 1}], ids=str)
def test_only_the_pod_ends(run: Any) -> None:
    interruption = begun(run)

    assert (interruption.is_abort, interruption.is_stop) == (False, True)
    assert interruption.abort_message is None


def test_callers_wait_for_the_request_so_that_the_correct_reason_shows_first() -> None:
    may_answer = threading.Event()

    def ask() -> Any:
        may_answer.wait(10)
        return task_run(spec={"definition": "x", "abort": {}})

    interruption = Interruption(ask, RUN_UID, 60.0)
    interruption.watch()
    interruption.begin()
    threading.Timer(0.05, may_answer.set).start()

    assert interruption.is_stop is False


def test_the_wait_ends_after_three_seconds_in_total() -> None:
    clock = Clock()
    may_answer = threading.Event()

    def ask() -> Any:
        may_answer.wait(10)
        return task_run(spec={"definition": "x", "abort": {}})

    interruption = Interruption(ask, RUN_UID, 60.0, clock)
    interruption.watch()
    interruption.begin()
    clock.now += signals.QUESTION_SECONDS

    assert interruption.is_stop, "without an answer it is the end of the pod"
    may_answer.set()
    assert interruption._answered.wait(5)
    assert interruption.is_abort, "a late answer still counts"


def test_the_grace_period_runs_from_the_first_signal() -> None:
    clock = Clock()
    interruption = begun(task_run(), clock)
    clock.now += 20
    interruption.begin()

    assert interruption.remaining() == 40.0
    clock.now += 100
    assert interruption.remaining() == 0.0


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("handlers")
def test_both_signals_are_handled_and_neither_interrupts_the_task(number: int) -> None:
    interruption = Interruption(task_run, RUN_UID, 60.0)
    interruption.install()

    os.kill(os.getpid(), number)

    assert interruption.is_stop
