"""The order and inputs of builds, and folders that are prepared only if necessary."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from dev.cluster import ClusterError
from dev.images import build, locked, parts
from dev.pages.build import Page

ROOT = Path(__file__).parents[4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parts, "BUILD", tmp_path)
    return tmp_path


def test_the_examples_are_based_on_the_image_of_tasks() -> None:
    assert build.with_base_images(["examples"]) == ["task", "examples"]
    assert build.with_base_images(["operator"]) == ["operator"]
    assert build.with_base_images(["examples", "operator", "task"]) == ["task", "operator", "examples"]


def test_every_target_of_the_dockerfile_is_built() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    targets = [line.split()[-1] for line in lines if line.startswith(("FROM python AS ", "FROM task AS "))]

    assert targets == [name for name in build.IMAGES if name not in {"examples", "primes"}]


def test_the_operators_image_includes_the_packages_of_tasks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    task, operator = locked.requirements(project, ()), locked.requirements(project, ("operator",))

    assert [one.split(">")[0] for one in task] == ["msgspec", "pydantic"]
    assert set(task) < set(operator)
    assert any(one.startswith("kopf") for one in operator)


def test_a_folder_is_created_if_it_is_missing_or_its_stamp_differs(folder: Path) -> None:
    made: list[str] = []

    def ensure(stamp: str) -> None:
        def make(place: Path) -> None:
            place.mkdir()
            (place / "file").write_text(stamp, encoding="utf-8")
            made.append(stamp)

        parts._ensure("thing", stamp, "make a thing", make)

    ensure("1")
    ensure("1")
    ensure("2")

    assert made == ["1", "2"]
    assert (folder / "thing" / "file").read_text(encoding="utf-8") == "2"


def test_a_failed_build_keeps_the_old_folder_and_is_retried(folder: Path) -> None:
    def make(place: Path) -> None:
        place.mkdir()
        (place / "file").touch()

    def fail(place: Path) -> None:
        place.mkdir()
        raise ValueError("no network")

    parts._ensure("thing", "1", "make a thing", make)
    with pytest.raises(ValueError, match="no network"):
        parts._ensure("thing", "2", "make a thing", fail)

    assert (folder / "thing" / "file").exists()
    parts._ensure("thing", "2", "make a thing", make)
    assert (folder / "thing.stamp").read_text(encoding="utf-8") == "2"


def test_a_command_calls_its_function_and_exits_with_its_result(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def main():\n    return 3\n", encoding="utf-8")
    command = tmp_path / "bin" / "shop"

    parts.write_command(command, "shop:main")

    ended = subprocess.run([sys.executable, command], env={"PYTHONPATH": str(tmp_path)}, check=False)
    assert ended.returncode == 3
    assert command.stat().st_mode & 0o777 == 0o755


def test_without_npm_the_image_has_no_pages_and_a_message_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    static = folder / "source" / parts.STATIC
    for name in ("dashboard", "graphiql"):
        (static / name / "0123").mkdir(parents=True)
        (static / name / "0123" / "main.js").touch()
    monkeypatch.setattr(parts, "SOURCE", folder / "source" / "podrelay")

    def missing(_: Page) -> Path:
        raise ClusterError("The page needs npm to be built.", "Install it.")

    monkeypatch.setattr(parts, "build_page", missing)
    without = parts.pages()
    assert list((folder / "pages").iterdir()) == []
    said = capsys.readouterr().err
    assert "the image is built without the dashboard: The page needs npm to be built." in said
    assert "the image is built without GraphiQL: The page needs npm to be built." in said

    monkeypatch.setattr(parts, "build_page", lambda page: static / page.name)
    assert parts.pages() != without
    for name in ("dashboard", "graphiql"):
        assert (folder / "pages" / parts.LIBRARY / parts.STATIC / name / "0123" / "main.js").exists()
