"""Locks: their contents, and when they no longer match the ranges."""

import pytest

from dev.images import locked
from dev.tools import locks
from podrelay.cli import commands

HASH = f"--hash=sha256:{'0' * 64}"
TEXT = f"msgspec==0.22.0 \\\n    {HASH} \\\n    {HASH}\nPyYAML==6.0.4 \\\n    {HASH}\n"
RANGES = ["msgspec>=0.20,<0.23", "pyyaml>=6.0.2,<7"]


def lock(text: str = TEXT) -> str:
    return locked.head(RANGES) + text


def test_a_matching_lock_has_no_problem() -> None:
    assert locked.problems(lock(), RANGES) == []
    assert locked.pinned(lock()) == {"msgspec": "0.22.0", "pyyaml": "6.0.4"}


@pytest.mark.parametrize(
    ("text", "ranges", "problem"),
    [
        (lock(), ["msgspec>=0.23", "pyyaml"], "msgspec 0.22.0 is not >=0.23"),
        (lock(), [*RANGES, "kopf>=1.45"], "kopf is missing"),
        (lock(), RANGES[:1], "the ranges of pyproject.toml have changed"),
        (lock(), ["msgspec>=0.21,<0.23", RANGES[1]], "the ranges of pyproject.toml have changed"),
        (TEXT, RANGES, "the ranges of pyproject.toml have changed"),
        ("", RANGES[:1], "msgspec is missing"),
        (lock(f"{TEXT}kopf==1.45.2\n"), RANGES, "'kopf==1.45.2' is not a package with a version and hashes"),
        (lock(f"{TEXT}--index-url https://example.org\n"), RANGES, "is not a package with a version and hashes"),
    ],
)
def test_mismatches_are_reported(text: str, ranges: list[str], problem: str) -> None:
    assert problem in locked.problems(text, ranges)[0]


def test_the_locks_of_this_checkout_match() -> None:
    assert locks.main(["--check"]) == 0


def test_the_operators_image_has_the_packages_of_every_command() -> None:
    elsewhere = {"", "dev-server"}  # `podrelay dev` runs on the computer of a developer
    extras = {command.extra for command in commands.LOCAL.values()} | {commands.CLUSTER_EXTRA}
    pinned = locked.pinned(locked.file("operator").read_text(encoding="utf-8"))

    assert extras - elsewhere <= set(locked.EXTRAS["operator"])
    assert {"kubernetes", "typer", "rich", "jsonschema-rs", "kopf", "strawberry-graphql"} <= set(pinned)


def test_an_extra_includes_the_requirements_of_another_one() -> None:
    about = {
        "name": "podrelay",
        "dependencies": ["msgspec>=1"],
        "optional-dependencies": {"client": ["kubernetes>=36"], "cli": ["podrelay[client]", "rich>=14"]},
    }

    assert locked.requirements(about, ("cli", "client")) == ["msgspec>=1", "kubernetes>=36", "rich>=14"]


@pytest.mark.parametrize("image", locked.EXTRAS)
def test_every_native_package_has_more_than_one_file(image: str) -> None:
    text = locked.file(image).read_text(encoding="utf-8")

    native = text.partition("msgspec==")[2].partition("==")[0]

    assert native.count("--hash=") > 10  # a wheel for each Python and architecture
