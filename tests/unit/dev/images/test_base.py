"""The base image: which one is used, and when it is renewed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dev.cluster import ClusterError
from dev.cluster.docker import Docker
from dev.images import base

DIGEST = "python@sha256:" + "0" * 64


class Daemon:
    """A Docker daemon with some images, and a registry that may respond."""

    def __init__(self, images: dict[str, str] | None = None, registry: tuple[str, ...] = ()) -> None:
        self.images = images or {}
        self.registry = registry
        self.asked: list[str] = []

    def ask(self, *arguments: Any, timeout: float = 30) -> str | None:
        command, last = " ".join(map(str, arguments[:2])), str(arguments[-1])
        self.asked.append(command)
        if command == "image inspect":
            return self.images.get(last)
        if command.startswith("import"):
            self.images[last] = str(arguments[1]).rpartition("=")[2]
            return "sha256:1"
        if last not in self.registry:
            return None
        if command.startswith("pull"):
            self.images[last] = f"{DIGEST}\n"
        return ""

    @property
    def docker(self) -> Docker:
        return cast("Docker", self)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(base, "cache", lambda: tmp_path)
    file = tmp_path / "images" / f"{base.OURS.replace(':', '-')}.tar"
    file.parent.mkdir()
    return file


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that were built from Debian packages."""
    made: list[Path] = []

    def note(file: Path) -> None:
        made.append(file)
        file.touch()
        os.utime(file)

    monkeypatch.setattr(base, "_make", note)
    return made


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_make", failing("no packages"))


def failing(message: str) -> Callable[[Path], None]:
    def fail(_: Path) -> None:
        raise ClusterError(message, "")

    return fail


def aged(archive: Path, days: float) -> None:
    archive.touch()
    then = time.time() - days * 86400
    os.utime(archive, (then, then))


def test_a_pulled_image_is_named_by_its_digest(archive: Path) -> None:
    assert base.provide(Daemon({base.STOCK: f"{DIGEST}\n"}).docker) == DIGEST
    assert base.provide(Daemon(registry=(base.STOCK,)).docker) == DIGEST


def test_a_built_image_has_no_digest(archive: Path) -> None:
    assert base.provide(Daemon({base.STOCK: "\n"}).docker) == base.STOCK


def test_without_a_registry_it_is_built_once_and_kept(archive: Path, make: list[Path]) -> None:
    daemon = Daemon()

    assert [base.provide(daemon.docker), base.provide(daemon.docker)] == [base.OURS, base.OURS]
    assert make == [archive]
    assert sum(command.startswith("import") for command in daemon.asked) == 1


def test_an_old_image_is_built_again(archive: Path, make: list[Path]) -> None:
    aged(archive, 29)
    base.provide(Daemon().docker)
    assert make == []

    aged(archive, 31)
    daemon = Daemon({base.OURS: str(int(archive.stat().st_mtime))})
    base.provide(daemon.docker)

    assert make == [archive]
    assert daemon.images[base.OURS] == str(int(archive.stat().st_mtime))


def test_a_failed_renewal_is_reported_and_the_old_image_is_used(
    archive: Path, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    aged(archive, 31)

    assert base.provide(Daemon().docker) == base.OURS
    assert "older than 30 days and cannot be renewed: no packages" in capsys.readouterr().err


def test_refresh_gives_a_fresh_image_or_an_error(archive: Path, make: list[Path]) -> None:
    aged(archive, 1)
    base.provide(Daemon().docker, base.WantedBase(refresh=True))
    assert make == [archive]

    daemon = Daemon({base.STOCK: "python@sha256:old\n"}, registry=(base.STOCK,))
    assert base.provide(daemon.docker, base.WantedBase(refresh=True)) == DIGEST


def test_a_failed_refresh_is_an_error(archive: Path, no_network: None) -> None:
    aged(archive, 1)

    with pytest.raises(ClusterError, match="no packages"):
        base.provide(Daemon().docker, base.WantedBase(refresh=True))
    with pytest.raises(ClusterError, match="cannot be pulled again"):
        base.provide(Daemon({base.STOCK: "\n"}).docker, base.WantedBase(refresh=True))


def test_only_the_named_image_is_used(archive: Path, make: list[Path]) -> None:
    aged(archive, 1)

    assert base.provide(Daemon(registry=(DIGEST,)).docker, base.WantedBase(DIGEST)) == DIGEST
    with pytest.raises(ClusterError, match="cannot be pulled"):
        base.provide(Daemon().docker, base.WantedBase(DIGEST))
    assert make == []
