"""Modules are loaded again when their files change."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from podrelay.devserver import modules
from podrelay.devserver.modules import Modules
from podrelay.local.memory_api import MemoryApi


class Words:
    """Receives what was loaded: the first problem of each module is the text of its file."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.changed = asyncio.Event()

    def defined(self, module: str, definitions: list[str], problems: list[str]) -> None:
        self.loaded.append(problems[0])
        self.changed.set()

    async def until(self, word: str) -> None:
        async with asyncio.timeout(10):
            while word not in self.loaded:
                self.changed.clear()
                await self.changed.wait()


def describe(monkeypatch: pytest.MonkeyPatch, file: Path, *, meanwhile: list[Callable[[], object]]) -> None:
    """Describe a module by the text of its file, and do something after the text was read."""

    def read() -> dict[str, Any]:
        text = file.read_text()
        if meanwhile:
            meanwhile.pop()()
        return {"manifests": [], "problems": [text], "files": [str(file)]}

    async def described(_reference: str) -> dict[str, Any]:
        return await asyncio.to_thread(read)

    monkeypatch.setattr(modules, "_described", described)


def made(file: Path, words: Words) -> Modules:
    api = MemoryApi(lambda: datetime.now(UTC), lambda _event: None)
    return Modules([str(file)], api, "default", words, lambda: None)


@contextlib.asynccontextmanager
async def following(loaded: Modules) -> AsyncIterator[None]:
    task = asyncio.create_task(loaded.follow())
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_a_change_before_the_folder_is_watched_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, words = tmp_path / "tasks.py", Words()
    file.write_text("first")
    describe(monkeypatch, file, meanwhile=[])
    loaded = made(file, words)
    await loaded.load()
    file.write_text("second")

    async with following(loaded):
        await words.until("second")


async def test_a_change_while_the_module_is_being_loaded_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, words = tmp_path / "tasks.py", Words()
    file.write_text("first")
    describe(monkeypatch, file, meanwhile=[lambda: file.write_text("second")])
    loaded = made(file, words)
    await loaded.load()
    assert words.loaded == ["first"]

    async with following(loaded):
        await words.until("second")
