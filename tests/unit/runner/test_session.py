"""The time of a task in a pod, and the environment that it is read from."""

import threading

import pytest

from podrelay.api import names, protocol
from podrelay.runner import environment, runs
from podrelay.runner.environment import NotInAPodError, UnsupportedOperatorError
from podrelay.runner.record import Record
from podrelay.runner.session import PodSession
from podrelay.runner.signals import Interruption
from tests.unit.runner.runner_fakes import RUN_UID, Clock, FakeApi, me, task_run, variables


@pytest.fixture
def clock() -> Clock:
    return Clock()


def session(clock: Clock, grace: str = "60") -> tuple[PodSession, Interruption]:
    mine = me(**{names.ENV_GRACE_PERIOD: grace})
    interruption = Interruption(task_run, RUN_UID, mine.grace_period, clock)
    interruption.watch()
    api = FakeApi(clock)
    return PodSession(mine, task_run(), Record(api, mine), api, interruption, clock(), clock), interruption


def test_time_runs_from_the_start_of_the_process(clock: Clock) -> None:
    mine, _ = session(clock)
    clock.now += 100

    assert (mine.remaining_seconds(), mine.is_stopping(), mine.is_aborted()) == (800.0, False, False)


def test_after_sigterm_the_remaining_time_is_the_rest_of_the_grace_period(clock: Clock) -> None:
    mine, interruption = session(clock)
    interruption.begin()
    clock.now += 10

    assert mine.remaining_seconds() == 50.0


def test_sigterm_shortly_before_the_end_does_not_extend_the_iteration(clock: Clock) -> None:
    mine, interruption = session(clock)
    clock.now += 890
    interruption.begin()

    assert mine.remaining_seconds() == 10.0


def test_sigterm_after_a_timeout_leaves_the_grace_period(clock: Clock) -> None:
    mine, interruption = session(clock)
    clock.now += 901
    interruption.begin()

    assert mine.remaining_seconds() == 60.0


@pytest.mark.parametrize(("grace", "expected"), [("60", 58.0), ("3", 1.5), ("0", 0.0)])
def test_the_last_delivery_of_the_answer_leaves_time_for_the_container_to_end(
    clock: Clock, grace: str, expected: float
) -> None:
    mine, interruption = session(clock, grace)
    interruption.begin()
    clock.now += 1

    assert mine.deadline() == 1000.0 + expected


def test_the_task_has_the_fields_of_its_run(clock: Clock) -> None:
    task = session(clock)[0].task

    assert (task.id, task.definition, task.iterations, task.input) == ("shop", "import-products", 2, {"cursor": 0})


def test_the_task_knows_who_created_its_run() -> None:
    run = task_run()

    assert runs.task_run(run).created_by is None
    run["metadata"]["annotations"] = {names.ANNOTATION_CREATED_BY: "alice"}
    assert runs.task_run(run).created_by == "alice"


@pytest.mark.parametrize(("timeout", "stored"), [("", False), ("60", True)])
@pytest.mark.parametrize("sign", ["heartbeat", "log line"])
def test_a_heartbeat_is_stored_only_if_there_is_a_timeout(clock: Clock, timeout: str, stored: bool, sign: str) -> None:
    mine = me(**{names.ENV_HEARTBEAT_TIMEOUT: timeout, names.ENV_RECORD_LOGS: "false"})
    api, written = FakeApi(clock), threading.Event()
    record = Record(api, mine)
    record.claim(lambda: clock() + 5)
    before = set(threading.enumerate())

    def note(_method: str, _name: str) -> None:
        written.set()

    api.after = note
    live = PodSession(mine, task_run(), record, api, Interruption(task_run, RUN_UID, 60.0, clock), clock(), clock)
    if sign == "heartbeat":
        live.heartbeat()
    else:
        live.write_log("info", "hello", None, None)

    if stored:
        assert written.wait(10)
        assert "heartbeatAt" in api.record
        assert "logs" not in api.record
    else:
        assert set(threading.enumerate()) <= before, "there is no thread that could write"


@pytest.mark.parametrize(("seconds", "writes"), [(1.0, 1), (300.0, 2)])
def test_a_save_after_a_long_wait_is_followed_by_a_new_heartbeat(clock: Clock, seconds: float, writes: int) -> None:
    mine = me(**{names.ENV_HEARTBEAT_TIMEOUT: "60"})
    api, written = FakeApi(clock), threading.Semaphore(0)
    record = Record(api, mine)
    record.claim(lambda: clock() + 5)

    def wait(_method: str, _name: str) -> None:
        clock.now += seconds
        written.release()

    api.after = wait
    PodSession(mine, task_run(), record, api, Interruption(task_run, RUN_UID, 60.0, clock), clock(), clock).save()

    assert all(written.acquire(timeout=10) for _ in range(writes))
    assert api.calls.count("PUT shop-i2") == writes


def test_the_environment_is_read_with_its_types() -> None:
    read = environment.read(variables(**{names.ENV_FINAL_ATTEMPT: "false", names.ENV_RECORD_LOGS: ""}))

    assert (read.iteration, read.attempt, read.iteration_timeout, read.grace_period) == (2, 1, 900.0, 60.0)
    assert (read.is_final_attempt, read.record_logs) == (False, False)


@pytest.mark.parametrize("variable", [names.ENV_RUN_UID, names.ENV_POD_UID, names.ENV_ITERATION])
def test_a_missing_variable_is_named(variable: str) -> None:
    incomplete = variables()
    del incomplete[variable]

    with pytest.raises(UnsupportedOperatorError, match=rf"operator \(version 1\): it lacks the variable '{variable}'"):
        environment.read(incomplete)


def test_without_any_variable_it_is_not_a_pod() -> None:
    with pytest.raises(NotInAPodError, match="this is not a pod of a TaskRun"):
        environment.read({"HOME": "/"})


@pytest.mark.parametrize("version", ["1", "2", "999999999", "", "two", "-1"])
def test_all_versions_of_operators_so_far_are_supported(version: str) -> None:
    """An operator without a version is of the first; a newer one decides itself which runners it supports."""
    assert environment.read(variables(**{names.ENV_PROTOCOL: version})).run == "shop"


def test_an_operator_that_is_too_old_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "OLDEST_OPERATOR", 3)

    environment.read(variables(**{names.ENV_PROTOCOL: "3"}))
    with pytest.raises(
        UnsupportedOperatorError, match=r"operator \(version 2\): it needs 3 at least; upgrade the operator"
    ):
        environment.read(variables(**{names.ENV_PROTOCOL: "2"}))
