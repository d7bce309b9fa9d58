"""How the operator as a whole ends: its parts are fakes, its signals and exit codes are real."""

import argparse
import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from podrelay.kube.client import Client
from podrelay.kube.config import Connection
from podrelay.operator import main, options
from podrelay.operator.manager import Manager
from podrelay.operator.view import Settings
from podrelay.schemas.process import SchemaProcess


class FakeLease:
    def __init__(self, seconds: float = 0) -> None:
        self.held = asyncio.Event()
        self.seconds = seconds
        self.released = False
        self.has_forgotten_version = False
        self.duration_seconds = 15.0

    def forget_version(self) -> None:
        self.has_forgotten_version = True

    async def report_released(self, *_: Any) -> None:
        pass

    async def release(self) -> None:
        await asyncio.sleep(self.seconds)
        self.released = True


@pytest.fixture
def arguments(tmp_path: Path) -> argparse.Namespace:
    path = tmp_path / "config"
    path.write_text(
        '{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k"}}],'
        ' "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:1"}}]}'
    )
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)
    return parser.parse_args(["--kubeconfig", str(path), "--listen", "127.0.0.1:0"])


def operate(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, lease: FakeLease, *parts: Coroutine[Any, Any, None]
) -> int:
    @contextlib.asynccontextmanager
    async def stand_in(_self: Any, *_clients: Any) -> AsyncIterator[Any]:
        yield lease, list(parts)

    monkeypatch.setattr(main._Operator, "_parts", stand_in)
    return main.run(arguments)


async def forever() -> None:
    await asyncio.Event().wait()


async def end() -> None:
    pass


async def interrupt(number: int) -> None:
    os.kill(os.getpid(), number)
    await forever()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_releases_the_lease(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    lease = FakeLease()

    assert operate(arguments, monkeypatch, lease, forever(), interrupt(number)) == 0
    assert lease.released


def test_a_lease_that_cannot_be_released_does_not_delay_the_exit(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "RELEASE_SECONDS", 0.01)
    lease = FakeLease(seconds=60)

    assert operate(arguments, monkeypatch, lease, interrupt(signal.SIGTERM)) == 0
    assert not lease.released


@pytest.mark.parametrize("error", [ValueError("a bug"), ExceptionGroup("workers", [ValueError("a bug")])])
def test_an_unexpected_error_ends_it_with_1_and_says_why(
    arguments: argparse.Namespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    async def fail() -> None:
        raise error

    lease = FakeLease()

    assert operate(arguments, monkeypatch, lease, forever(), fail()) == 1
    assert "a bug" in capsys.readouterr().err


def test_a_part_that_ends_unexpectedly_ends_it_with_1(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert operate(arguments, monkeypatch, FakeLease(), forever(), end()) == 1
    assert "ended unexpectedly" in capsys.readouterr().err


def test_an_address_in_use_is_reported_in_one_line(
    arguments: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments.listen = f"127.0.0.1:{taken.getsockname()[1]}"

        assert main.run(arguments) == 1

    err = capsys.readouterr().err
    assert "podrelay operator: " in err
    assert "Traceback" not in err


def test_a_missing_kubeconfig_is_reported_in_one_line(
    arguments: argparse.Namespace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments.kubeconfig = tmp_path / "nothing"

    assert main.run(arguments) == 1
    assert "cannot read the kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_a_limit_that_allows_no_runs_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(["--max-running-pods", number])

    assert "--max-running-pods" in capsys.readouterr().err
    assert parser.parse_args(["--max-running-pods", "1"]).max_running_pods == 1
    assert parser.parse_args([]).max_running_pods is None


def test_a_namespace_has_a_limit_of_running_pods_by_default_and_may_have_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    assert parser.parse_args([]).max_running_pods_per_namespace == 500
    assert parser.parse_args(["--max-running-pods-per-namespace=0"]).max_running_pods_per_namespace == 0
    with pytest.raises(SystemExit):
        parser.parse_args(["--max-running-pods-per-namespace=-1"])
    assert "-1 is less than 0" in capsys.readouterr().err


def test_the_depth_of_children_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    assert parser.parse_args([]).max_depth == Settings().max_depth
    with pytest.raises(SystemExit):
        parser.parse_args(["--max-depth=0"])
    assert "0 is less than 1" in capsys.readouterr().err


class FakeManager:
    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds
        self.has_run = False

    async def run(self) -> None:
        self.has_run = True
        await asyncio.sleep(self.seconds)


async def test_an_api_server_that_has_gone_back_in_time_starts_a_new_manager_but_not_a_new_process(
    arguments: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "RESTART_SECONDS", 0)
    lease, managers = FakeLease(), [FakeManager(), FakeManager(seconds=60)]
    operator: Any = main._Operator(arguments)
    operator._manager, following = FakeManager(), iter(managers)

    living = asyncio.create_task(operator._manage(lambda: next(following), lease))
    async with asyncio.timeout(5):
        while not managers[1].has_run:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)

    assert operator._manager is managers[1], "readiness and metrics use it"
    assert lease.released, "another replica need not wait"
    assert lease.has_forgotten_version
    living.cancel()


class FakeWatches:
    def __init__(self, *parts: Coroutine[Any, Any, None]) -> None:
        self._parts = parts

    def parts(self) -> tuple[Coroutine[Any, Any, None], ...]:
        return self._parts

    async def wait_synced(self) -> None:
        await forever()


def a_manager(arguments: argparse.Namespace, *parts: Coroutine[Any, Any, None]) -> Manager:
    lease: Any = FakeLease()
    manager = Manager(
        arguments, Client(Connection("http://127.0.0.1:1", None, lambda: None, "shop")), lease, SchemaProcess()
    )
    fakes: Any = manager
    fakes.watches = fakes._leadership._watches = FakeWatches(*parts)
    return manager


async def test_a_manager_ends_after_all_of_its_parts_when_the_api_server_has_gone_back_in_time(
    arguments: argparse.Namespace,
) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def works() -> None:
        began.set()
        try:
            await forever()
        finally:
            await asyncio.sleep(0.01)
            ended.set()

    manager = a_manager(arguments, works())
    running = asyncio.create_task(manager.run())
    await began.wait()

    manager.store.restored()
    await running

    assert ended.is_set()


async def test_a_failure_in_a_manager_ends_the_process(arguments: argparse.Namespace) -> None:
    async def fail() -> None:
        raise ValueError("a bug")

    with pytest.raises(ExceptionGroup) as raised:
        await a_manager(arguments, forever(), fail()).run()

    assert raised.group_contains(ValueError, match="a bug")
