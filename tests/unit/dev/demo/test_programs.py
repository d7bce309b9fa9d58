"""Watches of kubectl, and reports of failures."""

import time
from pathlib import Path

import pytest

from dev.cluster import Cluster, ClusterError
from dev.demo.diagnosis import last_lines
from dev.demo.programs import Programs, objects

KUBECTL = """#!/bin/sh
printf '{\\n    "kind": "%s",\\n    "spec": {\\n    }\\n}\\n' "$4"
[ "$4" = ends ] || exec sleep 60
"""


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Programs with a kubectl that reports one object, named after the requested resource."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL, encoding="utf-8")
    program.chmod(0o755)
    return Programs(Cluster("kind", "test", tmp_path / "kubeconfig", "https://localhost", "v1", bin=tmp_path))


def test_a_stream_of_objects_is_split_into_objects() -> None:
    lines = ["{\n", '    "a": {\n', '        "b": 1\n', "    }\n", "}\n", "{\n", '    "a": 2\n', "}\n"]

    assert list(objects(lines)) == [{"a": {"b": 1}}, {"a": 2}]


def test_several_watches_are_read_as_one(programs: Programs) -> None:
    with programs.watch("runs", "records") as changes:
        found = {changes.next(time.monotonic() + 10)["kind"] for _ in range(2)}

    assert found == {"runs", "records"}


def test_a_watch_without_events_fails_at_the_deadline(programs: Programs) -> None:
    with programs.watch("runs") as changes:
        changes.next(time.monotonic() + 10)
        with pytest.raises(ClusterError, match="Timed out"):
            changes.next(time.monotonic() + 0.1)


def test_a_watch_that_ends_is_an_error(programs: Programs) -> None:
    with programs.watch("ends") as changes:
        changes.next(time.monotonic() + 10)
        with pytest.raises(ClusterError, match="get ends --watch"):
            changes.next(time.monotonic() + 10)


def test_a_command_that_fails_is_an_error_with_its_output(programs: Programs) -> None:
    with pytest.raises(ClusterError, match="no such thing"):
        programs.call("sh", "-c", "echo no such thing >&2; exit 1")


def test_only_the_last_lines_of_a_long_text_are_kept() -> None:
    assert last_lines("1\n2\n3\n", 2) == "... 1 lines before\n2\n3"
    assert last_lines("1\n2\n", 2) == "1\n2"
