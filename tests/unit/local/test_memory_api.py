"""The API server in memory rejects the same requests as the real one, and collects garbage in the same way."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from podrelay.api import limits
from podrelay.api.task_run import TaskRun
from podrelay.kube import resources
from podrelay.kube.api import APPLY_PATCH, STRATEGIC_MERGE_PATCH
from podrelay.kube.errors import ApiError, GoneError, NotFoundError
from podrelay.kube.paging import pages
from podrelay.kube.resources import TASK_RUNS
from podrelay.local import rest
from podrelay.local.history import Event
from podrelay.local.memory_api import MAX_OBJECT_BYTES, MemoryApi
from podrelay.local.memory_client import MemoryClient, run
from tests.support.numbers import KEPT

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUNS = "/apis/podrelay.dev/v1alpha1/namespaces/default/taskruns"
PODS = "/api/v1/namespaces/default/pods"
RECORDS = "/apis/podrelay.dev/v1alpha1/namespaces/default/taskiterations"


class Server:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.api = MemoryApi(lambda: NOW, self.events.append)

    def send(self, method: str, url: str, body: Any = None) -> dict[str, Any]:
        """Send a request that must be accepted, and return the answer."""
        status, answer = rest.answer(self.api, method, url, body)
        assert status < 300, answer
        taken: dict[str, Any] = answer
        return taken

    def refused(self, method: str, url: str, body: Any = None) -> tuple[int, str]:
        """Send a request that must be rejected; return status and message."""
        status, answer = rest.answer(self.api, method, url, body)
        assert status >= 400, answer
        return status, answer["message"]

    def run(self, name: str = "shop", **spec: Any) -> dict[str, Any]:
        return self.send("POST", RUNS, {"metadata": {"name": name}, "spec": {"definition": "import", **spec}})

    def record(self, run: dict[str, Any]) -> dict[str, Any]:
        owner = {"kind": "TaskRun", "name": run["metadata"]["name"], "uid": run["metadata"]["uid"]}
        name = f"{run['metadata']['name']}-i1"
        body = {"runName": "shop", "iteration": 1, "try": 1, "podName": name, "podUID": "uid"}
        return self.send("POST", RECORDS, {"metadata": {"name": name, "ownerReferences": [owner]}, **body})


@pytest.fixture
def server() -> Server:
    return Server()


def test_a_new_object_gets_the_fields_that_the_api_server_sets(server: Server) -> None:
    run = server.run(input={"a": 1})

    assert list(run)[:3] == ["apiVersion", "kind", "metadata"]
    assert (run["apiVersion"], run["kind"]) == ("podrelay.dev/v1alpha1", "TaskRun")
    assert run["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert run["metadata"]["generation"] == 1
    assert run["status"] == TaskRun.born
    assert server.send("GET", f"{RUNS}/shop") == run
    assert [event.object for event in server.events] == [run]


def test_defaults_of_a_definition_are_those_of_the_resource(server: Server) -> None:
    definition = server.api.create(
        "taskdefinitions",
        "default",
        {"metadata": {"name": "import"}, "spec": {"id": "import", "title": "I", "template": {"x": None}}},
    )

    assert definition["spec"]["maxIterations"] == 50
    assert definition["spec"]["retry"]["on"] == ["Error", "PodFailure", "Timeout"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"metadata": {"name": "Shop"}, "spec": {"definition": "import"}}, "metadata.name must be a DNS label"),
        ({"metadata": {"name": "s" * 51}, "spec": {"definition": "import"}}, "at most 50 characters"),
        ({"metadata": {"name": "shop"}, "spec": {}}, "spec.definition: Field required"),
        ({"metadata": {"name": "shop"}}, "spec: Input should be"),
        ({"metadata": {"name": "shop"}, "spec": {"definition": "import", "delaySeconds": -1}}, "spec.delaySeconds"),
        (
            {
                "metadata": {"name": "shop"},
                "spec": {"definition": "import", "input": {"x": "y" * limits.PAYLOAD_BYTES}},
            },
            "the limit is 262144",
        ),
    ],
)
def test_violations_of_the_schema_are_rejected_with_a_message(
    server: Server, body: dict[str, Any], message: str
) -> None:
    status, words = server.refused("POST", RUNS, body)

    assert status == 422
    assert message in words
    assert server.events == []


def test_a_name_can_be_used_once(server: Server) -> None:
    server.run()

    status, answer = rest.answer(
        server.api, "POST", RUNS, {"metadata": {"name": "shop"}, "spec": {"definition": "import"}}
    )

    assert (status, answer["reason"]) == (409, "AlreadyExists")


def test_generate_name_makes_a_new_name_each_time(server: Server) -> None:
    body = {"metadata": {"generateName": "shop-"}, "spec": {"definition": "import"}}

    names = {server.send("POST", RUNS, body)["metadata"]["name"] for _ in range(5)}

    assert len(names) == 5
    assert all(name.startswith("shop-") for name in names)


def test_an_old_version_is_a_conflict_and_an_update_does_not_write_the_status(server: Server) -> None:
    run = server.run()
    newer = server.send("PUT", f"{RUNS}/shop", {**run, "spec": {**run["spec"], "suspend": True}, "status": {"x": 1}})

    assert newer["metadata"]["generation"] == 2
    assert newer["status"] == run["status"]
    assert server.refused("PUT", f"{RUNS}/shop", run)[0] == 409


def test_the_status_is_patched_separately(server: Server) -> None:
    server.run()

    patched = server.send("PATCH", f"{RUNS}/shop/status", {"status": {"phase": "Running"}, "spec": {"suspend": True}})

    assert patched["status"]["phase"] == "Running"
    assert "suspend" not in patched["spec"]
    assert patched["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"spec": {"input": {"other": 1}}}, "spec.input cannot be changed"),
        ({"spec": {"abort": {"message": "no"}}}, "spec.abort cannot be set: the run is already finished"),
        ({"metadata": {"uid": "another"}}, "is another object than before"),
    ],
)
def test_a_finished_run_keeps_its_spec(server: Server, patch: dict[str, Any], message: str) -> None:
    server.run()
    server.send("PATCH", f"{RUNS}/shop/status", {"status": {"phase": "Succeeded"}})

    assert message in server.refused("PATCH", f"{RUNS}/shop", patch)[1]


def test_a_finished_phase_cannot_change(server: Server) -> None:
    server.run()
    server.send("PATCH", f"{RUNS}/shop/status", {"status": {"phase": "Succeeded"}})

    assert "the run is finished" in server.refused("PATCH", f"{RUNS}/shop/status", {"status": {"phase": "Failed"}})[1]


def test_an_abort_cannot_be_revoked(server: Server) -> None:
    server.run()
    server.send("PATCH", f"{RUNS}/shop", {"spec": {"abort": {"message": "stop"}}})

    assert "taken back" in server.refused("PATCH", f"{RUNS}/shop", {"spec": {"abort": None}})[1]


def test_the_first_stored_response_wins(server: Server) -> None:
    record = server.record(server.run())
    answered = server.send("PUT", f"{RECORDS}/shop-i1", {**record, "response": {"status": "done"}})

    refused = server.refused("PUT", f"{RECORDS}/shop-i1", {**answered, "response": {"status": "aborted"}})

    assert refused == (422, "response cannot be changed: the first stored response wins")


@pytest.mark.parametrize(("sent", "kept"), [case for case in KEPT if type(case[0]) is float], ids=repr)
def test_numbers_are_stored_like_in_the_real_api_server(server: Server, sent: float, kept: float) -> None:
    """The same table is tested with the real API server."""
    record = server.record(server.run(input={"x": sent}))
    answer = {"status": "done", "output": {"x": [sent]}}

    answered = server.send("PUT", f"{RECORDS}/shop-i1", {**record, "response": answer})

    assert repr(server.send("GET", f"{RUNS}/shop")["spec"]["input"]["x"]) == repr(kept)
    assert repr(answered["response"]["output"]["x"][0]) == repr(kept)
    again = {**answered, "response": answer, "heartbeatAt": "2026-01-01T00:00:00Z"}
    if repr(sent) == repr(kept):
        server.send("PUT", f"{RECORDS}/shop-i1", again)
    else:
        assert "the first stored response wins" in server.refused("PUT", f"{RECORDS}/shop-i1", again)[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"podUID": "other"}, "podUID cannot be changed"),
        ({"response": {"status": "done", "output": {"x": "y" * limits.PAYLOAD_BYTES}}}, "response.output has"),
        ({"response": {"status": "done"}, "checkpoint": {}}, "checkpoint must be dropped"),
        ({"response": {"status": "finished"}}, "response.status"),
    ],
)
def test_a_record_that_breaks_a_rule_is_rejected(server: Server, change: dict[str, Any], message: str) -> None:
    record = server.record(server.run())

    assert message in server.refused("PUT", f"{RECORDS}/shop-i1", {**record, **change})[1]


def test_json_patches_change_members_and_are_checked(server: Server) -> None:
    server.run()
    patch = [{"op": "add", "path": "/status/phase", "value": "Running"}]

    assert server.send("PATCH", f"{RUNS}/shop/status", patch)["status"]["phase"] == "Running"
    assert server.refused("PATCH", f"{RUNS}/shop/status", [{"op": "remove", "path": "/status/output"}])[0] == 422


def test_lists_support_equality_selectors_and_pages(server: Server) -> None:
    for name, definition in (("c", "import"), ("a", "import"), ("b", "export"), ("d", "import")):
        server.run(name, definition=definition, parent="shop")
    server.run("other")

    url = f"{RUNS}?fieldSelector=spec.parent%3Dshop%2Cspec.definition%3Dimport&limit=2"
    first = server.send("GET", url)
    second = server.send("GET", f"{url}&continue={first['metadata']['continue']}")

    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in second["items"]] == ["d"]
    assert "continue" not in second["metadata"]


def test_the_pages_of_a_list_are_of_the_same_moment(server: Server) -> None:
    for name in ("a", "b", "c", "d"):
        server.run(name)
    first = server.send("GET", f"{RUNS}?limit=2")
    before = server.send("GET", f"{RUNS}/c")
    server.send("DELETE", f"{RUNS}/d")
    server.send("PATCH", f"{RUNS}/c", {"spec": {"suspend": True}})
    server.run("e")

    second = server.send("GET", f"{RUNS}?limit=9&continue={first['metadata']['continue']}")

    assert [item["metadata"]["name"] for item in second["items"]] == ["c", "d"]
    assert second["items"][0] == before
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_lists_of_all_namespaces_are_ordered_by_namespace_and_name(server: Server) -> None:
    for namespace, name in (("b", "x"), ("a", "y"), ("a", "x")):
        server.api.create("taskruns", namespace, {"metadata": {"name": name}, "spec": {"definition": "import"}})

    listed = server.send("GET", "/apis/podrelay.dev/v1alpha1/taskruns")

    found = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in listed["items"]]
    assert found == [("a", "x"), ("a", "y"), ("b", "x")]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("app=shop", ["a"]),
        ("app==shop", ["a"]),
        ("app!=shop", ["b", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
        ("app in (shop, web)", ["a", "b"]),
        ("app notin (shop),podrelay.dev/tier", ["b"]),
        ("", ["a", "b", "c"]),
    ],
)
def test_label_selectors_have_all_operators(server: Server, selector: str, found: list[str]) -> None:
    labels = {"a": {"app": "shop"}, "b": {"app": "web", "podrelay.dev/tier": "1"}, "c": {}}
    for name, own in labels.items():
        body = {"metadata": {"name": name, "labels": own}, "spec": {"definition": "import"}}
        server.send("POST", RUNS, body)

    listed = server.send("GET", f"{RUNS}?{urlencode({'labelSelector': selector})}")

    assert [item["metadata"]["name"] for item in listed["items"]] == found


def test_field_selectors_may_be_inequalities(server: Server) -> None:
    server.run("a", definition="import")
    server.run("b", definition="export")

    listed = server.send("GET", f"{RUNS}?fieldSelector=spec.definition!%3Dimport")

    assert [item["metadata"]["name"] for item in listed["items"]] == ["b"]


@pytest.mark.parametrize("selector", ["labelSelector=a+%3D%3D%3D", "fieldSelector=spec.parent", "labelSelector=a+in+b"])
def test_an_invalid_selector_is_refused(server: Server, selector: str) -> None:
    assert server.refused("GET", f"{RUNS}?{selector}")[0] == 400


def test_a_dry_run_changes_nothing(server: Server) -> None:
    run = server.run()
    number = len(server.events)

    patched = server.send("PATCH", f"{RUNS}/shop?dryRun=All", {"spec": {"suspend": True}})
    server.send("DELETE", f"{RUNS}/shop?dryRun=All")

    assert patched["spec"]["suspend"] is True
    assert server.send("GET", f"{RUNS}/shop") == run
    assert len(server.events) == number


def test_orphans_lose_their_owner(server: Server) -> None:
    server.record(server.run())

    server.send("DELETE", f"{RUNS}/shop?propagationPolicy=Orphan")
    while server.api.collect_garbage():
        pass

    assert server.send("GET", f"{RECORDS}/shop-i1")["metadata"]["ownerReferences"] == []


def test_all_objects_of_a_query_can_be_deleted(server: Server) -> None:
    for name in ("a", "b"):
        server.run(name, definition=name)

    server.send("DELETE", f"{RUNS}?fieldSelector=spec.definition%3Da")

    assert [item["metadata"]["name"] for item in server.send("GET", RUNS)["items"]] == ["b"]


def test_objects_of_a_former_server_continue_with_their_versions(server: Server) -> None:
    run = server.run()
    server.record(run)
    stored = [(event.plural, event.object) for event in server.events]

    server.api = MemoryApi(lambda: NOW, server.events.append, stored=stored, version=server.api.version)

    assert server.send("GET", f"{RUNS}/shop") == run
    assert int(server.run("next")["metadata"]["resourceVersion"]) == int(run["metadata"]["resourceVersion"]) + 2
    server.send("DELETE", f"{RUNS}/shop")
    assert server.api.collect_garbage()
    assert server.refused("GET", f"{RECORDS}/shop-i1")[0] == 404


def test_changes_are_known_until_there_are_too_many(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podrelay.local.history.LENGTH", 3)
    versions = [int(server.run(name)["metadata"]["resourceVersion"]) for name in "abcdefgh"]

    assert [event.object["metadata"]["name"] for event in server.api.changes(versions[4])] == ["f", "g", "h"]
    with pytest.raises(GoneError):
        server.api.changes(versions[3])
    assert server.api.changes(versions[-1]) == []


def test_large_changes_are_forgotten_earlier(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podrelay.local.history.MOST_BYTES", 30_000)
    versions = [int(server.run(name, input={"a": "x" * 10_000})["metadata"]["resourceVersion"]) for name in "abcd"]

    assert len(server.api.changes(versions[1])) == 2
    with pytest.raises(GoneError):
        server.api.changes(versions[0])


def test_a_change_that_only_sets_defaults_is_none(server: Server) -> None:
    spec = {"id": "import", "title": "I", "template": {}}
    before = server.api.create("taskdefinitions", "default", {"metadata": {"name": "import"}, "spec": spec})

    after = server.api.replace("taskdefinitions", "default", "import", {"metadata": {"name": "import"}, "spec": spec})

    assert after == before
    assert len(server.events) == 1


def test_server_side_apply_creates_or_merges(server: Server) -> None:
    created = server.api.patch(
        "taskruns", "default", "shop", {"spec": {"definition": "import"}}, content_type=APPLY_PATCH
    )
    merged = server.api.patch("taskruns", "default", "shop", {"spec": {"suspend": True}}, content_type=APPLY_PATCH)

    assert created["metadata"]["name"] == "shop"
    assert merged["spec"] == {"definition": "import", "suspend": True}


def test_deletion_has_preconditions_and_deletes_dependents(server: Server) -> None:
    run = server.run()
    server.record(run)
    child = {"kind": "TaskRun", "name": "shop", "uid": run["metadata"]["uid"]}
    spec = {"definition": "import", "parent": "shop"}
    server.send("POST", RUNS, {"metadata": {"name": "child", "ownerReferences": [child]}, "spec": spec})

    assert server.refused("DELETE", f"{RUNS}/shop", {"preconditions": {"uid": "other"}})[0] == 409
    server.send("DELETE", f"{RUNS}/shop", {"preconditions": {"uid": run["metadata"]["uid"]}})
    assert server.send("GET", f"{RECORDS}/shop-i1")

    while server.api.collect_garbage():
        pass

    assert server.send("GET", RUNS)["items"] == []
    assert server.send("GET", RECORDS)["items"] == []
    assert [event.object["metadata"]["name"] for event in server.events if event.is_deletion] == [
        "shop",
        "shop-i1",
        "child",
    ]


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", f"{RUNS}/shop", 404),
        ("GET", "/healthz", 404),
        ("POST", "/api/v1/namespaces/default/services", 404),
        ("GET", "/apis/podrelay.dev/v2/namespaces/default/taskruns", 404),
        ("GET", "/api/v1/namespaces/default/pods/shop/log/more", 404),
        ("PUT", RUNS, 405),
        ("DELETE", f"{RUNS}/shop", 404),
    ],
)
def test_requests_for_missing_objects_are_rejected(server: Server, method: str, url: str, status: int) -> None:
    assert server.refused(method, url)[0] == status


def test_a_sent_object_may_be_modified_afterwards(server: Server) -> None:
    given = {"a": [1]}
    server.run(input=given)

    given["a"].append(2)

    assert server.api.get("taskruns", "default", "shop")["spec"]["input"] == {"a": [1]}
    with pytest.raises(NotFoundError, match="not found"):
        server.api.get("taskruns", "default", "another")


# --- pods, owners and finalizers --------------------------------------------------------------------------------------


def pod(server: Server, **metadata: Any) -> dict[str, Any]:
    """Create a pod with a grace period of 20 s."""
    body = {"metadata": {"name": "shop-i1", **metadata}, "spec": {"terminationGracePeriodSeconds": 20}}
    return server.send("POST", PODS, body)


def on_node(server: Server) -> None:
    server.api.patch("pods", "default", "shop-i1", {"spec": {"nodeName": "node-1"}})


def test_a_pod_without_a_node_is_deleted_immediately(server: Server) -> None:
    pod(server)

    server.send("DELETE", f"{PODS}/shop-i1")

    assert server.refused("GET", f"{PODS}/shop-i1")[0] == 404


def test_a_pod_on_a_node_has_its_grace_period_and_is_deleted_with_its_container(server: Server) -> None:
    pod(server)
    on_node(server)

    for _ in range(2):
        server.send("DELETE", f"{PODS}/shop-i1")
    deleted = server.send("GET", f"{PODS}/shop-i1")["metadata"]
    server.api.delete("pods", "default", "shop-i1", grace_seconds=0)

    assert deleted["deletionTimestamp"] == "2026-01-01T00:00:20Z"
    assert deleted["deletionGracePeriodSeconds"] == 20
    assert [event.type for event in server.events] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_pod_that_has_ended_is_deleted_immediately(server: Server) -> None:
    pod(server)
    on_node(server)
    server.send("PATCH", f"{PODS}/shop-i1/status", {"status": {"phase": "Failed"}})

    server.send("DELETE", f"{PODS}/shop-i1")

    assert server.refused("GET", f"{PODS}/shop-i1")[0] == 404


def test_a_finalizer_keeps_an_object_until_it_is_removed(server: Server) -> None:
    pod(server, finalizers=["example.com/hold"])

    server.send("DELETE", f"{PODS}/shop-i1")
    held = server.send("GET", f"{PODS}/shop-i1")["metadata"]
    server.send("PATCH", f"{PODS}/shop-i1", {"metadata": {"finalizers": None}})

    assert held["deletionGracePeriodSeconds"] == 0
    assert server.refused("GET", f"{PODS}/shop-i1")[0] == 404


def test_a_deletion_cannot_be_revoked(server: Server) -> None:
    pod(server, finalizers=["example.com/hold"])
    server.send("DELETE", f"{PODS}/shop-i1")

    patched = server.send("PATCH", f"{PODS}/shop-i1", {"metadata": {"deletionTimestamp": None}})

    assert "deletionTimestamp" in patched["metadata"]


def test_objects_with_another_owner_or_one_of_an_unknown_kind_are_not_garbage(server: Server) -> None:
    runs = [server.run(name)["metadata"] for name in ("a", "b")]
    owners = [{"kind": "TaskRun", "name": about["name"], "uid": about["uid"]} for about in runs]
    for name, of in {"both": owners, "other": [owners[0], {"kind": "Job", "name": "j", "uid": "u"}]}.items():
        spec = {"definition": "import"}
        server.send("POST", RUNS, {"metadata": {"name": name, "ownerReferences": of}, "spec": spec})

    server.send("DELETE", f"{RUNS}/a")

    assert not server.api.collect_garbage()


def test_an_object_created_for_a_deleted_owner_is_garbage(server: Server) -> None:
    run = server.run()
    server.send("DELETE", f"{RUNS}/shop")
    server.record(run)

    assert server.api.collect_garbage()
    assert server.send("GET", RECORDS)["items"] == []


def test_an_object_that_is_too_large_for_etcd_is_rejected(server: Server) -> None:
    annotations = {"large": "x" * MAX_OBJECT_BYTES}

    status, message = server.refused("POST", PODS, {"metadata": {"name": "p", "annotations": annotations}, "spec": {}})

    assert status == 500
    assert "request is too large" in message


# --- requests of the operator -----------------------------------------------------------------------------------------


def test_the_client_reads_lists_page_by_page_and_creates_nothing_in_a_dry_run(server: Server) -> None:
    client = MemoryClient(server.api)
    for number in range(40):
        server.run(f"run-{number:02}", parent="shop")
    dry = {"metadata": {"name": "dry"}, "spec": {"definition": "import", "parent": "shop"}}
    run(client.create(TASK_RUNS, "default", dry, dry_run=True))

    async def listed() -> list[str]:
        params = {"fieldSelector": "spec.parent=shop"}
        found = pages(client, TASK_RUNS.path("default"), params, 5)
        return [json.loads(bytes(item))["metadata"]["name"] async for page in found for item in page.items]

    assert run(listed()) == [f"run-{number:02}" for number in range(40)]


def test_a_strategic_merge_patch_merges_owners_by_their_uid(server: Server) -> None:
    pod(server, ownerReferences=[{"kind": "Job", "name": "j", "uid": "u"}], labels={"a": "b"})
    owner = {"kind": "TaskRun", "name": "shop", "uid": "v"}
    patch = {"metadata": {"ownerReferences": [owner], "labels": {"c": "d"}}}

    patched = json.loads(
        run(
            MemoryClient(server.api).patch(
                resources.PODS, "default", "shop-i1", patch, content_type=STRATEGIC_MERGE_PATCH
            )
        )
    )

    assert [about["uid"] for about in patched["metadata"]["ownerReferences"]] == ["u", "v"]
    assert patched["metadata"]["labels"] == {"a": "b", "c": "d"}


def test_a_list_without_a_strategic_merge_rule_is_rejected(server: Server) -> None:
    pod(server)

    with pytest.raises(ApiError, match="a strategic merge patch of containers"):
        server.api.patch("pods", "default", "shop-i1", {"spec": {"containers": []}}, content_type=STRATEGIC_MERGE_PATCH)


def test_an_operation_that_would_have_to_wait_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="there is no event loop"):
        run(asyncio.sleep(0))
