"""A process that must die at a write dies there; without the setting, the client is not wrapped."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from podrelay.kube.kill_points import ENV_DIE_AFTER_WRITE, ENV_DIE_BEFORE_WRITE, put_in
from podrelay.local.memory_api import MemoryApi
from podrelay.local.memory_client import MemoryClient

PROGRAM = """
from datetime import UTC, datetime
from podrelay.kube.kill_points import put_in
from podrelay.kube.resources import Resource
from podrelay.local.memory_api import MemoryApi
from podrelay.local.memory_client import MemoryClient, run

RUNS = Resource("podrelay.dev", "v1alpha1", "taskruns")
show = lambda event: print(event.type, flush=True)
client = put_in(MemoryClient(MemoryApi(lambda: datetime.now(UTC), show, new_uid=lambda: "uid")))
run(client.create(RUNS, "shop", {"metadata": {"name": "a"}, "spec": {"definition": "d"}}))
run(client.get(RUNS, "shop", "a"))
run(client.request("GET", RUNS.path("shop")))
run(client.patch(RUNS, "shop", "a", {"spec": {"suspend": True}}))
run(client.delete(RUNS, "shop", "a", uid="uid"))
print("lives", flush=True)
"""
DONE = ["ADDED", "MODIFIED", "DELETED"]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("variable", "is_sent"), [(ENV_DIE_BEFORE_WRITE, False), (ENV_DIE_AFTER_WRITE, True)])
def test_the_process_dies_at_the_write_with_that_number(number: int, variable: str, is_sent: bool) -> None:
    ended = play(**{variable: str(number)})

    assert ended.returncode == -signal.SIGKILL
    assert ended.stdout.split() == DONE[: number if is_sent else number - 1]


def test_the_process_survives_if_there_are_fewer_writes() -> None:
    ended = play(**{ENV_DIE_AFTER_WRITE: "4"})

    assert (ended.returncode, ended.stdout.split()) == (0, [*DONE, "lives"])


def test_without_the_setting_the_client_is_not_wrapped() -> None:
    client = MemoryClient(MemoryApi(lambda: datetime.now(UTC), lambda _event: None))

    assert put_in(client, {}) is client


def play(**variables: str) -> subprocess.CompletedProcess[Any]:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
