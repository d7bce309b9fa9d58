"""The API server on its socket, with the client of the runner."""

import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from podrelay.local.history import Event
from podrelay.local.memory_api import MemoryApi
from podrelay.local.server import Server
from podrelay.local.unix import SOCKET_FILE, TOKEN_FILE, UnixConnection
from podrelay.runner.api_client import ApiClient, path
from podrelay.sdk.errors import ApiUnreachableError


class Served:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.api = MemoryApi(lambda: datetime.now(UTC), self.events.append)
        self.server = Server(self.api, folder)
        self.client = ApiClient("unused", 0, folder, connect=lambda: UnixConnection(folder / SOCKET_FILE, 5))

    def request(self, method: str, name: str = "", body: Any = None) -> tuple[int, dict[str, Any]]:
        until = time.monotonic() + 30
        return self.client.request(method, path("default", "taskruns", name), body, lambda: until, 0)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.client.close()
    served.server.close()


def test_the_runners_client_reads_and_writes(served: Served) -> None:
    body = {"metadata": {"name": "shop"}, "spec": {"definition": "import", "input": {"ä": "\N{SNOWMAN}"}}}

    status, created = served.request("POST", body=body)

    assert status == 201
    assert served.request("GET", "shop") == (200, created)
    assert created["spec"]["input"] == {"ä": "\N{SNOWMAN}"}
    assert served.request("GET", "other")[0] == 404
    assert len(served.events) == 1


def test_a_request_without_the_token_is_rejected(served: Served) -> None:
    (served.folder / TOKEN_FILE).write_text("guessed")

    assert served.request("GET", "shop")[0] == 401


def test_the_server_listens_on_a_socket_and_not_on_a_port(served: Served) -> None:
    assert stat.S_ISSOCK((served.folder / SOCKET_FILE).stat().st_mode)


def test_the_runner_waits_for_a_change_of_its_run(served: Served) -> None:
    runs = [served.request("POST", body={"metadata": {"name": n}, "spec": {"definition": "x"}})[1] for n in ("a", "b")]
    version = runs[1]["metadata"]["resourceVersion"]
    with ThreadPoolExecutor(1) as pool:
        changed = pool.submit(served.client.another().wait_for_change, "default", "taskruns", "a", version)
        served.request("PATCH", "b", {"spec": {"suspend": True}})
        served.request("PATCH", "a", {"spec": {"suspend": True}})
        found = changed.result(timeout=20)

    assert found is not None
    assert (found["metadata"]["name"], found["spec"]["suspend"]) == ("a", True)


def test_a_watch_from_an_unknown_version_ends_at_once(served: Served) -> None:
    with pytest.raises(ApiUnreachableError, match="ended at once"):
        served.client.another().wait_for_change("default", "taskruns", "a", "1")
