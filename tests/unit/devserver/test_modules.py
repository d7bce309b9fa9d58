"""Modules are described in processes of their own, which never outlive the answer."""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dev.harness.waiting import eventually
from podrelay.devserver import modules, options
from podrelay.devserver.modules import Modules
from podrelay.local.container import ENV_FOLDER
from podrelay.local.memory_api import MemoryApi
from podrelay.local.processes import processes_with

ENDLESS = "import time\nwhile True:\n    time.sleep(1)\n"


class News:
    """What a user would see."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def defined(self, module: str, definitions: list[str], problems: list[str]) -> None:
        self.lines += problems

    def problem(self, message: str) -> None:
        self.lines.append(message)


def of(folder: Path, news: News, text: str) -> tuple[Modules, str]:
    file = folder / "endless.py"
    file.write_text(text)
    api = MemoryApi(lambda: datetime.now(UTC), lambda _event: None)
    return Modules([str(file)], api, "default", news, lambda: None, folder), str(file)


def left(folder: Path) -> list[int]:
    return [*processes_with(f"{ENV_FOLDER}={folder}")]


async def test_a_module_that_does_not_end_its_import_is_reported_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "IMPORT_SECONDS", 2.0)
    monkeypatch.setattr(modules, "_SLOW_SECONDS", 0.5)
    news = News()
    found, file = of(tmp_path, news, ENDLESS)

    await found.load()

    assert "is still being imported after 0.5 s" in news.lines[0]
    assert f"cannot import {file}: this takes longer than 2 s, so it was stopped" in news.lines
    assert "this takes longer than 2 s" in (found.obstacle(f"{file}:Task") or "")
    assert left(tmp_path) == []


async def test_a_cancelled_import_leaves_no_process(tmp_path: Path) -> None:
    found, _ = of(tmp_path, News(), f"open({str(tmp_path / 'begun')!r}, 'w').close()\n{ENDLESS}")
    loading = asyncio.create_task(found.load())
    await asyncio.to_thread(eventually, "it is being imported", (tmp_path / "begun").exists)
    assert len(left(tmp_path)) == 1

    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading

    assert left(tmp_path) == []


async def test_a_change_before_the_folder_is_watched_is_seen(tmp_path: Path) -> None:
    news = News()
    found, _ = of(tmp_path, news, "raise ValueError('first')\n")
    await found.load()
    of(tmp_path, news, "raise ValueError('second')\n")

    following = asyncio.create_task(found.follow())
    await asyncio.to_thread(eventually, "it is loaded again", lambda: any("second" in line for line in news.lines))
    following.cancel()

    assert "first" in news.lines[0]


def test_a_class_cannot_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(["shop.tasks:Import"])
    assert "name the module alone, 'shop.tasks': all of its task definitions are used" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["65536", "99999", "-1", "x", ""])
def test_a_port_is_within_its_range(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    options.add_arguments(parser)

    for flag in ("--port", "--api-port"):
        with pytest.raises(SystemExit):
            parser.parse_args([f"{flag}={value}"])
        assert "is not a number from 0 to 65535" in capsys.readouterr().err
    assert parser.parse_args(["--port=65535"]).port == 65535
