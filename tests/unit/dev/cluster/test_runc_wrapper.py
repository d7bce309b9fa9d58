"""The wrapper of runc removes one capability, and changes nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev.cluster.docker import private, runc_wrapper
from dev.cluster.docker.runc_wrapper import settings_file, without_capability
from dev.cluster.paths import Checkout

BOTH = ["CAP_CHOWN", "CAP_SYS_RESOURCE"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--root /r --log /l create --bundle /b --pid-file /p id", "/b/config.json"),
        ("create --bundle=/b id", "/b/config.json"),
        ("run -b /b id", "/b/config.json"),
        ("run id", "config.json"),
        ("--root /r exec --process /run/p.json --detach id", "/run/p.json"),
        ("exec --process=/run/p.json id", "/run/p.json"),
        ("exec id ls", None),
        ("delete --force id", None),
        ("state create", "config.json"),
    ],
)
def test_the_file_with_the_capabilities_is_found(arguments: str, expected: str | None) -> None:
    found = settings_file(arguments.split())

    assert (str(found) if found else None) == expected


def test_a_container_loses_the_capability_from_every_set() -> None:
    settings = {"ociVersion": "1", "process": {"args": ["sh"], "capabilities": {"bounding": BOTH, "effective": BOTH}}}

    assert without_capability(settings) == {
        "ociVersion": "1",
        "process": {"args": ["sh"], "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"]}},
    }


def test_a_process_of_an_exec_loses_the_capability_too() -> None:
    assert without_capability({"args": ["ls"], "capabilities": {"bounding": BOTH}}) == {
        "args": ["ls"],
        "capabilities": {"bounding": ["CAP_CHOWN"]},
    }


def test_settings_without_capabilities_are_unchanged() -> None:
    assert without_capability({"process": {"args": ["sh"]}}) == {"process": {"args": ["sh"]}}


def test_the_program_changes_the_file_and_runs_runc(tmp_path: Path) -> None:
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\necho "runc $*"\n')
    runc.chmod(0o755)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"process": {"capabilities": {"bounding": BOTH}}}))

    done = subprocess.run(
        [sys.executable, "-IS", runc_wrapper.__file__, "create", "--bundle", tmp_path, "id"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"runc create --bundle {tmp_path} id\n"
    assert json.loads(config.read_text()) == {"process": {"capabilities": {"bounding": ["CAP_CHOWN"]}}}


@pytest.mark.parametrize(
    ("bounding", "lacks"),
    [("000001fffeffffff", True), ("000001ffffffffff", False), ("0000000001000000", False), ("0", True)],
)
def test_the_bounding_set_shows_whether_the_wrapper_is_needed(bounding: str, lacks: bool) -> None:
    assert private.lacks_sys_resource(f"CapEff:\t0000000000000000\nCapBnd:\t{bounding}\n") is lacks


def test_the_daemon_uses_the_wrapper_only_if_needed(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)

    assert "default-runtime" not in private.daemon_settings(checkout, wrapper=None)
    assert private.daemon_settings(checkout, wrapper=tmp_path / "wrapper")["default-runtime"] == "podrelay"
