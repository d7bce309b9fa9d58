"""The API server in memory over HTTP: watches, tables, discovery, errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from podrelay.api.names import TASK_DEFINITIONS
from podrelay.devserver.admission import Admission
from podrelay.devserver.api_server import ApiServer
from podrelay.kube.client import Client
from podrelay.kube.config import Connection
from podrelay.kube.errors import GoneError
from podrelay.kube.reflector import Reflector
from podrelay.kube.resources import TASK_RUNS
from podrelay.local.history import Event
from podrelay.local.memory_api import MemoryApi
from podrelay.operator.objects.runs import TaskRun

RUNS = "/apis/podrelay.dev/v1alpha1/namespaces/default/taskruns"
PODS = "/api/v1/namespaces/default/pods"


class Api:
    """A server, and a client that knows its secret."""

    def __init__(self) -> None:
        def notify(_event: Event) -> None:
            self.server.news.ring()

        def read_definition(namespace: str, name: str) -> dict[str, Any]:
            return self.memory.get(TASK_DEFINITIONS, namespace, name)

        admission = Admission(lambda name: name == "default", read_definition)
        self.memory = MemoryApi(lambda: datetime.now(UTC), notify, admit=admission)
        self.server = ApiServer(self.memory, asyncio.get_running_loop(), "secret")
        self.http: TestClient[Any, Any] = TestClient(TestServer(self.server.application()))

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.http.request(method, f"/secret{path}", json=body, headers=headers) as response:
            return response.status, json.loads(await response.read() or "null")

    async def run(self, name: str, **labels: str) -> Any:
        body = {"metadata": {"name": name, "labels": labels}, "spec": {"definition": "import"}}
        status, created = await self.send("POST", RUNS, body)
        assert status == 201, created
        return created

    async def watch(self, query: str, count: int, **headers: str) -> list[tuple[str, Any]]:
        """Return the first events of a watch."""
        found: list[tuple[str, Any]] = []
        async with self.http.get(f"/secret{RUNS}?watch=true&{query}", headers=headers) as response:
            assert response.status == 200
            while len(found) < count and (line := await response.content.readline()):
                event = json.loads(line)
                found.append((event["type"], event["object"]))
        return found


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    async with api.http:
        yield api


def names(events: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    return [(kind, item["metadata"].get("name", "")) for kind, item in events]


async def test_a_watch_shows_what_exists_and_then_each_change(api: Api) -> None:
    await api.run("a")
    watch = asyncio.create_task(api.watch("", 4))
    await api.run("b")
    await api.send("PATCH", f"{RUNS}/a", {"spec": {"suspend": True}})
    await api.send("DELETE", f"{RUNS}/a")

    found = names(await watch)
    assert found[0] == ("ADDED", "a")
    assert found[-2:] == [("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_continues_after_a_version(api: Api) -> None:
    first = await api.run("a")
    await api.run("b")
    version = first["metadata"]["resourceVersion"]

    assert names(await api.watch(f"resourceVersion={version}", 1)) == [("ADDED", "b")]


async def test_a_watch_with_a_selector_shows_when_objects_begin_and_end_to_match(api: Api) -> None:
    version = (await api.run("a"))["metadata"]["resourceVersion"]
    for label in ("shop", None, "shop"):
        await api.send("PATCH", f"{RUNS}/a", {"metadata": {"labels": {"app": label}}})
    await api.send("DELETE", f"{RUNS}/a")

    found = await api.watch(f"resourceVersion={version}&labelSelector=app%3Dshop", 4)

    assert [kind for kind, _ in found] == ["ADDED", "DELETED", "ADDED", "DELETED"]


async def test_a_version_that_is_too_old_is_expired(api: Api) -> None:
    await api.run("a")

    ((kind, status),) = await api.watch("resourceVersion=1", 1)

    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")


async def test_a_watch_ends_after_its_time(api: Api) -> None:
    assert await api.watch("resourceVersion=100&timeoutSeconds=0.1", 5) == []


async def test_initial_events_end_with_a_bookmark(api: Api) -> None:
    await api.run("a")

    found = await api.watch("sendInitialEvents=true&allowWatchBookmarks=true", 2)

    assert [kind for kind, _ in found] == ["ADDED", "BOOKMARK"]
    assert found[1][1]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_the_reflector_of_the_operator_follows_it(api: Api) -> None:
    class Sink:
        def __init__(self) -> None:
            self.names: set[str] = set()
            self.is_right = asyncio.Event()

        def replace(self, objects: list[TaskRun], _version: str, _namespace: str | None = None) -> None:
            self.names = {run.metadata.name for run in objects}

        def apply(self, run: TaskRun) -> None:
            self.names.add(run.metadata.name)

        def remove(self, run: TaskRun) -> None:
            self.names.discard(run.metadata.name)
            if self.names == {"b"}:
                self.is_right.set()

    await api.run("a")
    sink = Sink()
    url = str(api.http.make_url("/secret"))
    async with Client(Connection(url, None, lambda: None, "default")) as client:
        reflector = Reflector(client, TASK_RUNS, TaskRun, sink)
        task = asyncio.create_task(reflector.run())
        await reflector.synced.wait()
        await api.run("b")
        await api.send("DELETE", f"{RUNS}/a")
        async with asyncio.timeout(20):
            await sink.is_right.wait()
        task.cancel()


async def test_a_table_has_the_columns_of_the_resource(api: Api) -> None:
    await api.run("a")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

    _, table = await api.send("GET", RUNS, Accept=accept)
    ((kind, row),) = await api.watch("", 1, Accept=accept)

    columns = [column["name"] for column in table["columnDefinitions"]]
    assert columns[:5] == ["Name", "Definition", "Phase", "Reason", "Iterations"]
    assert table["rows"][0]["cells"][:2] == ["a", "import"]
    assert table["rows"][0]["object"]["metadata"]["name"] == "a"
    assert (kind, row["kind"], row["rows"][0]["cells"][0]) == ("ADDED", "Table", "a")


async def test_kinds_can_be_discovered(api: Api) -> None:
    _, groups = await api.send("GET", "/apis")
    _, resources = await api.send("GET", "/apis/podrelay.dev/v1alpha1")
    _, index = await api.send("GET", "/openapi/v3")
    url = index["paths"]["apis/podrelay.dev/v1alpha1"]["serverRelativeURL"]
    async with api.http.get(url) as response:
        document = await response.json()

    assert "podrelay.dev" in {group["name"] for group in groups["groups"]}
    found = {resource["name"]: resource for resource in resources["resources"]}
    assert found["taskruns"]["shortNames"] == ["trun"]
    assert "taskruns/status" in found
    schema = document["components"]["schemas"]["dev.podrelay.v1alpha1.TaskRun"]
    assert "abort" in schema["properties"]["spec"]["properties"]


@pytest.mark.parametrize("path", ["/apis", "/secretly/apis", "/Secret/apis", "/"])
async def test_a_request_without_the_secret_is_refused(api: Api, path: str) -> None:
    async with api.http.get(path) as response:
        assert response.status == 401
        assert "kubeconfig" in (await response.json())["message"]


async def test_everything_is_allowed(api: Api) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    status, review = await api.send("POST", path, {"spec": {}})

    assert (status, review["status"]) == (201, {"allowed": True})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/api/v1/nodes", "there are no nodes"),
        ("/api/v1/nodes/x", "there are no nodes"),
        ("/apis/rbac.authorization.k8s.io/v1/namespaces/x/roles", "there is no RBAC"),
        ("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", "there are no admission policies"),
        ("/api/v1/namespaces/default/pods/x/exec", "pods are processes"),
        ("/api/v1/namespaces/default/serviceaccounts/x/token", "there is no RBAC"),
    ],
)
async def test_what_only_a_cluster_has_is_refused_with_the_reason(api: Api, path: str, why: str) -> None:
    status, answer = await api.send("GET", path)

    assert status == 405
    assert why in answer["message"]
    assert "docs/dev.md" in answer["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", RUNS, [1], 400),
        ("POST", RUNS, {"metadata": 5}, 400),
        ("POST", RUNS, {"spec": "x"}, 400),
        ("POST", RUNS.replace("default", "missing"), {"metadata": {"name": "a"}, "spec": {"definition": "x"}}, 404),
        ("POST", f"{RUNS}?fieldValidation=Strict", {"metadata": {"name": "a"}, "spec": {"definitoin": "x"}}, 400),
        ("GET", f"{RUNS}?limit=x", None, 400),
        ("GET", f"{RUNS}?continue=x", None, 400),
        ("GET", f"{RUNS}?watch=true&resourceVersion=x", None, 400),
        ("GET", f"{RUNS}?labelSelector=a+b", None, 400),
        ("PUT", RUNS, {}, 405),
        ("GET", "/apis/other.dev/v1/things", None, 404),
        ("GET", "/", None, 404),
        ("POST", PODS, {"metadata": {"name": "x"}, "spec": {"containers": []}}, 405),
    ],
)
async def test_an_invalid_request_is_refused_and_the_server_goes_on(
    api: Api, method: str, path: str, body: Any, status: int
) -> None:
    answered, answer = await api.send(method, path, body)

    assert (answered, answer["kind"]) == (status, "Status"), answer
    await api.run("next")


async def test_a_body_that_is_not_json_is_refused(api: Api) -> None:
    for content in (b"{", b"[" * 100_000, b"k8s\0\xff", b"\xff"):
        async with api.http.post(f"/secret{RUNS}", data=content) as response:
            assert response.status == 400


async def test_unknown_fields_are_dropped_unless_the_request_is_strict(api: Api) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"definition": "import", "unknown": 1, "input": {"unknown": 2}}}

    _, created = await api.send("POST", RUNS, body)
    _, refused = await api.send("POST", f"{RUNS}?fieldValidation=Strict", body)

    assert created["spec"] == {"definition": "import", "input": {"unknown": 2}}
    assert refused["message"] == 'strict decoding error: unknown field "spec.unknown"'


async def test_a_refusal_names_the_field_as_kubectl_prints_it(api: Api) -> None:
    await api.run("a")

    status, answer = await api.send("PATCH", f"{RUNS}/a", {"spec": {"definition": "other"}})

    assert status == 422
    assert (answer["details"]["kind"], answer["details"]["name"]) == ("TaskRun", "a")
    assert answer["details"]["causes"][0]["field"] == "spec.definition"


async def test_the_client_of_the_operator_gets_its_errors(api: Api) -> None:
    async with Client(Connection(str(api.http.make_url("/secret")), None, lambda: None, "default")) as client:
        with pytest.raises(GoneError):
            await client.request("GET", RUNS, params={"resourceVersion": "1", "resourceVersionMatch": "Exact"})


async def test_a_stopped_client_does_not_disturb_the_server(api: Api) -> None:
    async with ClientSession() as session:
        response = await session.get(api.http.make_url(f"/secret{RUNS}?watch=true"))
        response.close()
    for number in range(3):
        await api.run(f"run-{number}")
