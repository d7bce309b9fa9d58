"""The requests of Webiny's clients, versions 5 and 6, with their headers, batches and tenants, and a real API server.

The tests cover every method of the SDK, and every document of the admin app, of Webiny's tests and its documentation.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dev.harness.gateway import GatewayProcess
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, record, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support import webiny
from tests.support.namespaces import temporary_namespace
from tests.support.webiny import Admin5, Admin6, Sdk

pytestmark = pytest.mark.integration

LINES = [
    {"time": "2026-11-24T10:00:00Z", "type": "info", "message": "begun", "data": {"rows": 3}},
    {"time": "2026-11-24T10:00:01Z", "type": "error", "message": "broken", "error": {"message": "no"}},
]


@dataclass(frozen=True)
class Shop:
    """A gateway, and a user with rights in two namespaces; that of `kubectl` is the default one."""

    kubectl: Kubectl
    blog: Kubectl
    url: str
    token: str

    @property
    def sdk(self) -> Sdk:
        return Sdk(self.url, self.token, self.kubectl.namespace)

    @property
    def admin(self) -> Admin6:
        return Admin6(self.url, self.token, self.kubectl.namespace)

    @property
    def admin5(self) -> Admin5:
        return Admin5(self.url, self.token, self.kubectl.namespace)

    def start(self, name: str, **spec: Any) -> str:
        """Create a task, wait until the gateway shows it, and return its id."""
        assert self.kubectl.create(task_run(name, "testing-run", **spec))
        eventually(f"{name} is seen", lambda: self.admin.execute(webiny.ADMIN_TASK, id=name))
        return name

    def finish(self, name: str) -> None:
        """Set the status in place of the operator."""
        assert self.kubectl.set_status(TASK_RUNS, name, {"phase": "Succeeded", "iterations": 1, "output": {"n": 1}})
        eventually("it has ended", lambda: self.admin.execute(webiny.ADMIN_TASK, id=name)["taskStatus"] == "success")


def prepared(kubectl: Kubectl, account: str) -> None:
    """Give the account the rights of Webiny's users with full access in a namespace, and create a definition."""
    for role in ("podrelay-user", "podrelay-settings"):
        kubectl.do("create", "rolebinding", f"clerk-{role}", f"--clusterrole={role}", f"--serviceaccount={account}")
    assert kubectl.apply(task_definition("testing-run", title="Testing", description="A task to test with."))


@pytest.fixture(scope="module")
def shop(shared: Kubectl, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shared.do("create", "serviceaccount", "clerk")
    with temporary_namespace(admin) as blog:
        for kubectl in (shared, blog):
            prepared(kubectl, f"{shared.namespace}:clerk")
        token = shared.do("create", "token", "clerk").strip()
        flags = (f"--default-namespace={shared.namespace}", f"--allow-origin={webiny.ORIGIN}")
        with GatewayProcess(admin.kubeconfig, tmp_path_factory.mktemp("gateway"), flags) as gateway:
            shop = Shop(shared, blog, f"http://{gateway.address}", token)
            eventually("definitions are seen", lambda: shop.sdk.execute(webiny.SDK_DEFINITIONS))
            shop.start("talker", input={"a": 1})
            shop.start("child", parent="talker")
            run = shared.get(TASK_RUNS, "talker")
            assert shared.create(record("talker-i1", owner=run, logs=LINES), record("talker-i2", owner=run))
            eventually("logs are seen", lambda: len(shop.sdk.execute(webiny.SDK_LOGS)) == 2)
            yield shop
            assert "Traceback" not in gateway.text, gateway.text


# --- the SDK of 6 -----------------------------------------------------------------------------------------------------


def test_the_sdk_lists_definitions(shop: Shop) -> None:
    assert shop.sdk.execute(webiny.SDK_DEFINITIONS) == [
        {"id": "testingRun", "title": "Testing", "description": "A task to test with."}
    ]


def test_the_sdk_lists_tasks(shop: Shop) -> None:
    found = {task["id"]: task for task in shop.sdk.execute(webiny.SDK_TASKS)}

    assert found["talker"]["input"] == {"a": 1}
    assert found["child"]["input"] == {}  # as in Webiny, if no input was given
    assert (found["child"]["parentId"], found["child"]["taskStatus"]) == ("talker", "pending")


@pytest.mark.parametrize("where", [None, {}, {"task": "talker"}, {"task": "missing"}])
def test_the_sdk_lists_logs(shop: Shop, where: dict[str, str] | None) -> None:
    logs = shop.sdk.execute(webiny.SDK_LOGS, where=where)

    if where == {"task": "missing"}:
        assert logs == []
        return
    lines = {log["id"]: [line["message"] for line in log["items"]] for log in logs}
    assert lines == {"talker-i1": ["begun", "broken"], "talker-i2": []}


@pytest.mark.parametrize("query", [webiny.SDK_TRIGGER, webiny.SDK_TRIGGER_BY_STRING], ids=["enum", "string"])
@pytest.mark.parametrize("given", [None, {"url": "https://x", "n": 1.5}])
def test_the_sdk_triggers(shop: Shop, query: str, given: Any) -> None:
    task = shop.sdk.execute(query, definition="testingRun", input=given)

    assert (task["definitionId"], task["taskStatus"], task["iterations"]) == ("testingRun", "pending", 0)
    assert (task["name"], task["executionName"], task["output"]) == ("Testing", "", None)
    assert task["input"] == (given or {})
    assert task["eventResponse"]["name"] == task["id"]
    assert shop.kubectl.get(TASK_RUNS, task["id"])["spec"].get("input") == given


@pytest.mark.parametrize("message", [None, "No longer needed"])
def test_the_sdk_aborts(shop: Shop, message: str | None) -> None:
    ident = shop.start(f"for-the-sdk-{len(message or '')}")

    assert shop.sdk.execute(webiny.SDK_ABORT, id=ident, message=message)["id"] == ident
    assert shop.kubectl.get(TASK_RUNS, ident)["spec"]["abort"].get("message") == message


def test_the_sdk_gets_the_error(shop: Shop) -> None:
    answer = shop.sdk.send(webiny.SDK_TRIGGER, definition="missing").body["data"]["backgroundTasks"]["triggerTask"]

    assert answer["data"] is None
    assert answer["error"]["code"] == "TASK_DEFINITION_ERROR"


# --- the admin app of 6 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"sort": ["createdOn_DESC"], "limit": 20},
        {"where": {"taskStatus_in": "pending"}, "sort": ["values_name_ASC"], "limit": 20},  # its select sends one word
        {"where": {"definitionId": "testingRun", "createdOn_gte": "2026-01-01T00:00:00+02:00"}, "limit": 20},
        {"where": {"createdOn_lte": "2126-01-01T00:00:00.000Z"}, "sort": ["values_startedOn_DESC"], "search": "test"},
    ],
)
def test_the_admin_app_lists_tasks(shop: Shop, variables: dict[str, Any]) -> None:
    assert "talker" in {task["id"] for task in shop.admin.execute(webiny.ADMIN_TASKS, **variables)}


@pytest.mark.parametrize("field", ["name", "definitionId", "taskStatus", "startedOn", "finishedOn", "createdOn"])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_every_column_of_the_admin_app_can_be_sorted(shop: Shop, field: str, direction: str) -> None:
    prefix = "" if field == "createdOn" else "values_"
    assert shop.admin.execute(webiny.ADMIN_TASKS, sort=[f"{prefix}{field}_{direction}"], limit=20)


def test_the_admin_app_shows_a_task_with_its_logs(shop: Shop) -> None:
    task = shop.admin.execute(webiny.ADMIN_TASK, id="talker")
    logs = shop.admin.execute(webiny.ADMIN_LOGS, where={"task": "talker"}, sort=["createdOn_DESC"], limit=50)

    assert (task["id"], task["input"]) == ("talker", {"a": 1})
    assert sorted(len(log["items"]) for log in logs) == [0, 2]
    assert shop.admin.execute(webiny.ADMIN_TASK, id="missing") is None
    assert [one["id"] for one in shop.admin.execute(webiny.ADMIN_DEFINITIONS)] == ["testingRun"]


def test_the_admin_app_aborts_and_deletes(shop: Shop) -> None:
    unwanted, finished = shop.start("unwanted"), shop.start("finished")
    shop.finish(finished)

    assert shop.admin.execute(webiny.ADMIN_ABORT, id=unwanted)["id"] == unwanted
    assert shop.admin.execute(webiny.ADMIN_DELETE, id=finished) is True
    assert shop.admin.execute(webiny.ADMIN_TASK, id=finished) is None


def test_the_admin_app_changes_settings(shop: Shop) -> None:
    for days in (30, 180, 0, 3650):
        assert shop.admin.execute(webiny.ADMIN_SET, input={"retentionDays": days}) == {"retentionDays": days}
        assert shop.admin.execute(webiny.ADMIN_SETTINGS) == {"retentionDays": days}
    for days in (-1, 3651):
        (refused,) = shop.admin.batch((webiny.ADMIN_SET, {"input": {"retentionDays": days}}))
        assert (
            refused["data"]["backgroundTasks"]["updateSettings"]["error"]["code"] == "BackgroundTasks/ValidationError"
        )
    (refused,) = shop.admin.batch((webiny.ADMIN_SET, {"input": {"retentionDays": 30.5}}))
    assert refused["errors"]
    assert shop.admin.execute(webiny.ADMIN_SETTINGS) == {"retentionDays": 3650}


def test_the_admin_app_sends_concurrent_operations_in_one_request(shop: Shop) -> None:
    answers = shop.admin.batch(
        (webiny.ADMIN_TASK, {"id": "talker"}),
        (webiny.ADMIN_LOGS, {"where": {"task": "talker"}, "sort": ["createdOn_DESC"], "limit": 50}),
        (webiny.ADMIN_ABORT, {"id": "missing"}),
        (webiny.ADMIN_DEFINITIONS, {}),
    )
    task, logs, refused, definitions = (answer["data"]["backgroundTasks"] for answer in answers)

    assert task["getTask"]["data"]["id"] == "talker"
    assert logs["listLogs"]["meta"] == {"cursor": None, "hasMoreItems": False, "totalCount": 2}
    assert refused["abortTask"]["error"]["code"] == "BackgroundTasks/Task/NotFoundError"
    assert len(definitions["listDefinitions"]["data"]) == 1


def test_all_mutations_of_a_batch_are_executed(shop: Shop) -> None:
    mutation = (webiny.SDK_TRIGGER_BY_STRING, {"definition": "testingRun", "input": {"by": "batch"}})
    wrong = (webiny.SDK_TRIGGER_BY_STRING, {"definition": "missing"})

    first, refused, last = shop.admin.batch(mutation, wrong, mutation)
    ids = {webiny.unwrap(first)["id"], webiny.unwrap(last)["id"]}
    assert refused["data"]["backgroundTasks"]["triggerTask"]["error"]["code"] == "TASK_DEFINITION_ERROR"
    assert len(ids) == 2
    assert all(shop.kubectl.get(TASK_RUNS, ident)["spec"]["input"] == {"by": "batch"} for ident in ids)


# --- the admin app of 5, Webiny's tests and its documentation ---------------------------------------------------------


def test_apollo_sends_batches_with_the_names_of_types(shop: Shop) -> None:
    (alone,) = shop.admin5.execute((webiny.TESTS5_DEFINITIONS, {}))
    answers = shop.admin5.execute((webiny.TESTS_TASKS, {}), (webiny.TESTS5_LOGS, {"where": {"task": "talker"}}))

    assert webiny.unwrap(alone) == [
        {
            "id": "testingRun",
            "title": "Testing",
            "description": "A task to test with.",
            "fields": [],
            "__typename": "WebinyBackgroundTaskDefinition",
        }
    ]
    tasks, logs = map(webiny.unwrap, answers)
    assert {task["__typename"] for task in tasks} == {"WebinyBackgroundTask"}
    assert {log["task"]["id"] for log in logs} == {"talker"}


def test_ten_operations_are_a_batch_and_more_are_not(shop: Shop) -> None:
    assert len(shop.admin5.execute(*[(webiny.TESTS5_DEFINITIONS, {})] * 10)) == 10
    with pytest.raises(AssertionError, match="more than the 10 that are allowed"):
        shop.admin5.execute(*[(webiny.TESTS5_DEFINITIONS, {})] * 11)


@pytest.mark.parametrize(
    "query",
    [
        webiny.TESTS5_DEFINITIONS,
        webiny.TESTS6_DEFINITIONS,
        webiny.TESTS_TASKS,
        webiny.TESTS5_LOGS,
        webiny.TESTS6_LOGS,
        webiny.TESTS6_SETTINGS,
        webiny.DOCS5_DEFINITIONS,
        webiny.DOCS5_TASKS,
        webiny.about(webiny.DOCS5_LOGS, "talker"),
        webiny.about(webiny.EXAMPLE5_TASK, "talker"),
        webiny.about(webiny.EXAMPLE5_CHILDREN, "talker"),
        webiny.DOCS5_TRIGGER,
        webiny.EXAMPLE5_TRIGGER,
    ],
    ids=lambda query: query.split()[1],
)
def test_every_document_runs_without_variables(shop: Shop, query: str) -> None:
    assert shop.sdk.execute(query)


@pytest.mark.parametrize("query", [webiny.DOCS5_ABORT, webiny.EXAMPLE5_ABORT], ids=["docs", "example"])
def test_the_aborts_of_the_documentation_work(shop: Shop, query: str) -> None:
    ident = shop.start(f"by-the-book-{len(query)}")

    assert shop.sdk.execute(webiny.about(query, ident))["id"] == ident
    assert "abort" in shop.kubectl.get(TASK_RUNS, ident)["spec"]


def test_the_sequence_of_webinys_tests(shop: Shop) -> None:
    """A task is triggered, read, listed and aborted, each time with its logs and their lines."""
    triggered = shop.sdk.execute(webiny.TESTS6_TRIGGER, definition="testingRun", name="My running task")
    assert (triggered["name"], triggered["input"], triggered["logs"]) == ("My running task", {}, [])
    assert (triggered["taskStatus"], triggered["startedOn"], triggered["finishedOn"]) == ("pending", None, None)

    ident = triggered["id"]
    got = eventually("it is seen", lambda: shop.sdk.execute(webiny.TESTS6_TASK, id=ident))
    assert got == triggered
    listed = shop.sdk.execute(webiny.TESTS_TASKS, where={"id": ident}, sort=["createdOn_DESC"], limit=10)
    assert listed == [got]
    assert shop.sdk.execute(webiny.TESTS6_ABORT, id=ident)["id"] == ident
    delayed = shop.sdk.execute(webiny.TESTS6_TRIGGER, definition="testingRun", input={"a": 1}, delay=60)
    assert shop.kubectl.get(TASK_RUNS, delayed["id"])["spec"]["delaySeconds"] == 60
    assert shop.sdk.execute(webiny.TESTS6_SET, input={"retentionDays": 45}) == {"retentionDays": 45}


def test_lines_have_an_id_and_can_be_searched_in_all_tasks(shop: Shop) -> None:
    (found,) = shop.sdk.execute(webiny.TESTS6_LOGS, where={"items": {"message_contains": "BROK"}})

    assert (found["id"], found["task"]["id"]) == ("talker-i1", "talker")
    assert [line["_id"] for line in found["items"]] == ["talker-i1:1", "talker-i1:2"]


def test_a_default_page_shows_the_logs_of_all_its_tasks(shop: Shop) -> None:
    """Fifty tasks with six logs each need more requests than a document was once allowed to cause."""
    names = [f"chatty-{number}" for number in range(50)]
    assert shop.blog.create(*(task_run(name, "testing-run") for name in names))
    runs = json.loads(shop.blog.do("get", TASK_RUNS, "--output", "json", *names))["items"]
    numbered = [(run, number) for run in runs for number in range(1, 7)]
    assert shop.blog.create(
        *(record(f"{run['metadata']['name']}-i{number}", owner=run, logs=LINES) for run, number in numbered)
    )
    sdk = Sdk(shop.url, shop.token, shop.blog.namespace)

    def all_are_shown() -> bool:
        tasks = sdk.execute(webiny.TESTS_TASKS, where={"id_in": names})
        return [len(log["items"]) for task in tasks for log in task["logs"]] == [2] * 300

    eventually("300 logs with two lines each", all_are_shown)


# --- tenants ----------------------------------------------------------------------------------------------------------


def test_a_tenant_is_the_namespace_that_is_worked_in(shop: Shop) -> None:
    """A token with rights in two namespaces starts a task in the namespace that its client names."""
    there = Sdk(shop.url, shop.token, shop.blog.namespace).execute(webiny.SDK_TRIGGER, definition="testingRun")
    root = Sdk(shop.url, shop.token, "root").execute(webiny.SDK_TRIGGER, definition="testingRun")

    assert shop.blog.get(TASK_RUNS, there["id"])["metadata"]["namespace"] == shop.blog.namespace
    assert not shop.kubectl("get", TASK_RUNS, there["id"])
    assert shop.kubectl.get(TASK_RUNS, root["id"])  # root: the gateway's default namespace


def test_a_contradicting_or_forbidden_tenant_is_refused(shop: Shop) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {shop.token}", "x-tenant": "attic"}
    body = json.dumps({"query": webiny.SDK_TRIGGER, "variables": {"definition": "testingRun"}}).encode()

    both = webiny.send(f"{shop.url}/graphql/{shop.blog.namespace}", "POST", headers, body)
    foreign = Sdk(shop.url, shop.token, "kube-system")
    listed = foreign.send(webiny.SDK_TASKS).body["data"]["backgroundTasks"]["listTasks"]
    triggered = foreign.send(webiny.SDK_TRIGGER, definition="testingRun").body["data"]["backgroundTasks"]["triggerTask"]

    assert both.status == 400
    assert f"The path names {shop.blog.namespace}, X-Tenant names attic" in both.body["errors"][0]["message"]
    assert listed["data"] is None
    assert listed["error"]["code"] == "BackgroundTasks/NotAuthorized"
    assert "kube-system" in listed["error"]["message"]
    assert (triggered["data"], triggered["error"]["code"]) == (None, "BackgroundTasks/NotAuthorized")
