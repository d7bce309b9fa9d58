"""The thread that kopf runs in: restarted when it ends, and never waited for when the process exits."""

import asyncio
import threading
from typing import Any

import kopf
import pytest
from kopf._cogs.aiokits import aioadapters

from podrelay.kube.config import Connection
from podrelay.operator import kopf_shell
from podrelay.operator.kopf_shell import KopfShell


def a_shell() -> KopfShell:
    return KopfShell(Connection("http://127.0.0.1:1", None, lambda: None, "default"), (), print, print)


async def test_kopf_is_restarted_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_shell, "_BACKOFF_SECONDS", (0.0, 0.0))
    starts, enough = [], asyncio.Event()
    loop = asyncio.get_running_loop()

    def once(_self: KopfShell) -> str:
        starts.append(1)
        if len(starts) == 3:
            loop.call_soon_threadsafe(enough.set)
        return "some error"

    monkeypatch.setattr(KopfShell, "_run_once", once)
    task = asyncio.create_task(a_shell().run())
    await enough.wait()

    assert not task.done()
    task.cancel()


async def test_a_kopf_that_ends_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def once(self: KopfShell) -> str:
        self._stopping.wait()
        ended.set()
        return ""

    monkeypatch.setattr(KopfShell, "_run_once", once)
    shell = a_shell()
    task = asyncio.create_task(shell.run())
    await asyncio.sleep(0)

    task.cancel()
    await shell.close()

    assert ended.is_set()


async def test_a_kopf_that_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    monkeypatch.setattr(kopf_shell, "_END_SECONDS", 0.01)
    for_ever = threading.Event()
    monkeypatch.setattr(KopfShell, "_run_once", lambda _self: str(for_ever.wait()))
    shell = a_shell()
    task = asyncio.create_task(shell.run())
    await asyncio.sleep(0)

    # when
    task.cancel()
    await shell.close()

    # then no thread is left that the process would wait for
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "kopf")
    for_ever.set()


@pytest.mark.parametrize("is_stopped", [False, True], ids=["by itself", "stopped"])
async def test_the_thread_ends_with_kopf(monkeypatch: pytest.MonkeyPatch, is_stopped: bool) -> None:
    # given a kopf that waits for its flag as the real one does, and ends when it is raised or when something fails
    waits = threading.Event()

    async def operator(*, stop_flag: Any, **_: Any) -> None:
        flag = asyncio.create_task(aioadapters.wait_flag(stop_flag))
        await asyncio.sleep(0)
        waits.set()
        if is_stopped:
            await flag
        flag.cancel()
        raise ValueError("a bad event")

    monkeypatch.setattr(kopf, "operator", operator)
    shell = a_shell()

    # when
    ended = shell._start()
    await asyncio.to_thread(waits.wait, 5)
    if is_stopped:
        shell.stop()

    # then
    assert await asyncio.wait_for(ended, 5) == "a bad event"


async def test_nothing_to_close_before_the_start() -> None:
    await a_shell().close()


def test_kopf_only_watches_runs_without_a_status() -> None:
    resource = kopf.Resource("podrelay.dev", "v1alpha1", "taskruns", namespaced=True)
    others = kopf.Resource("podrelay.dev", "v1alpha1", "taskdefinitions", namespaced=True)
    selectors = kopf_shell._settings().watching.field_selectors
    assert selectors.collect(resource) == ["status.phase="]
    assert selectors.collect(others) == []
