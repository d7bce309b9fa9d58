"""Webiny's documents with real objects, and the additions of Podrelay."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dev.harness.gateway import GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, owner_reference, record, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support.gatewayuser import gateway_user

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

TASK = """
    id createdOn savedOn createdBy { id displayName type } name definitionId parentId executionName iterations
    input output taskStatus startedOn finishedOn eventResponse
"""
ERROR = "error { message code data stack }"
TRIGGER = f"""
    mutation TriggerTask($definition: String!, $input: JSON, $name: String, $delay: Number) {{
        backgroundTasks {{
            triggerTask(definition: $definition, input: $input, name: $name, delay: $delay) {{
                data {{ {TASK} }} {ERROR}
            }}
        }}
    }}
"""
LIST = f"""
    query ListTasks(
        $where: WebinyBackgroundTaskListWhereInput
        $sort: [WebinyBackgroundTaskListSorter!]
        $limit: Int
        $after: String
        $search: String
    ) {{
        backgroundTasks {{
            listTasks(where: $where, sort: $sort, limit: $limit, after: $after, search: $search) {{
                data {{ {TASK} }} meta {{ cursor hasMoreItems totalCount }} {ERROR}
            }}
        }}
    }}
"""
LOGS = f"""
    query ListLogs(
        $where: WebinyBackgroundTaskLogListWhereInput
        $sort: [WebinyBackgroundTaskLogListSorter!]
        $limit: Int
        $after: String
    ) {{
        backgroundTasks {{
            listLogs(where: $where, sort: $sort, limit: $limit, after: $after) {{
                data {{
                    id createdOn createdBy {{ id displayName type }} executionName iteration task {{ id name }}
                    items {{ message createdOn type data error }}
                }}
                meta {{ cursor hasMoreItems totalCount }} {ERROR}
            }}
        }}
    }}
"""
ABORT = f"""
    mutation AbortTask($id: ID!, $message: String) {{
        backgroundTasks {{ abortTask(id: $id, message: $message) {{ data {{ {TASK} }} {ERROR} }} }}
    }}
"""


@dataclass(frozen=True)
class Shop:
    """A namespace with definitions, and a user who may do everything with runs in it."""

    kubectl: Kubectl
    user: GraphQL
    name: str

    def finish(self, name: str, **status: Any) -> None:
        """Set the status in place of the operator. The gateway's cache may not contain it yet."""
        assert self.kubectl.set_status(TASK_RUNS, name, status)

    def listed(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait until a task is shown with these values; return it."""

        def has_them() -> dict[str, Any] | None:
            found = self.user.ask(LIST, where={"id": name}).data["listTasks"]["data"]
            return found[0] if found and all(found[0][key] == value for key, value in wanted.items()) else None

        found = eventually(f"{name} with {wanted}", has_them)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def shop(place: str, quiet_shared: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shared = quiet_shared
    clerk = gateway_user(place, shared, roles=("podrelay-user", "edit"))
    assert shared.apply(
        task_definition("count-words", description="Counts."),
        task_definition("hidden", private=True),
        task_definition("import-products", title="Import products"),
    )
    with GatewayProcess(shared.kubeconfig, tmp_path_factory.mktemp("gateway"), clerk.flags) as gateway:
        shop = Shop(shared, gateway.as_token(clerk.token, shared.namespace), clerk.name)
        eventually("definitions are seen", lambda: len(definitions(shop)) == 2)
        yield shop
        assert "Traceback" not in gateway.text, gateway.text


def definitions(shop: Shop) -> list[Any]:
    found: list[Any] = shop.user.inside("listDefinitions { data { id title description } error { code } }")[
        "listDefinitions"
    ]["data"]
    return found


def test_definitions_are_listed_without_the_private_ones(shop: Shop) -> None:
    assert definitions(shop) == [
        {"id": "countWords", "title": "Count words", "description": "Counts."},
        {"id": "importProducts", "title": "Import products", "description": None},
    ]


def test_a_triggered_run_equals_one_that_kubectl_applies(shop: Shop) -> None:
    answer = shop.user.ask(TRIGGER, definition="count-words", input={"a": 1}, name="Mine", delay=60)
    name = answer.data["triggerTask"]["data"]["id"]
    assert shop.kubectl.create(task_run("by-kubectl", input={"a": 1}, displayName="Mine", delaySeconds=60))
    ours, theirs = shop.kubectl.get(TASK_RUNS, name), shop.kubectl.get(TASK_RUNS, "by-kubectl")

    assert ours["spec"] == theirs["spec"]
    assert ours["metadata"].get("labels") == {"podrelay.dev/definition": "count-words"}
    assert ours["metadata"]["annotations"] == {"podrelay.dev/created-by": shop.name}


@pytest.mark.parametrize(
    ("variables", "code", "data"),
    [
        ({"definition": "noSuchTask"}, "TASK_DEFINITION_ERROR", {"id": "noSuchTask"}),
        ({"definition": "hidden"}, "TASK_DEFINITION_ERROR", {"id": "hidden"}),
        ({"definition": "../../secrets"}, "TASK_DEFINITION_ERROR", {"id": "../../secrets"}),
        ({"definition": "countWords", "delay": 30_672_000}, "MAX_DELAY_ERROR", {"delay": 30_672_000}),
        ({"definition": "countWords", "delay": 1.5}, "BackgroundTasks/ValidationError", None),
        ({"definition": "countWords", "delay": -1}, "BackgroundTasks/ValidationError", None),
        ({"definition": "countWords", "input": [1]}, "BackgroundTasks/ValidationError", None),
        ({"definition": "countWords", "input": {"n": 2**64}}, "BackgroundTasks/ValidationError", None),
        ({"definition": "countWords", "input": {"x": "y" * 262_144}}, "BackgroundTasks/ValidationError", None),
        ({"definition": "countWords", "name": "x" * 257}, "BackgroundTasks/ValidationError", None),
    ],
)
def test_what_cannot_be_triggered_is_reported_in_the_envelope(shop: Shop, variables: Any, code: str, data: Any) -> None:
    answer = shop.user.ask(TRIGGER, **variables).data["triggerTask"]

    assert answer["data"] is None
    assert answer["error"]["code"] == code
    assert data is None or answer["error"]["data"] == data
    assert answer["error"]["stack"] is None


def test_a_finished_task_shows_its_output_and_a_failed_one_its_error(shop: Shop) -> None:
    assert shop.kubectl.create(task_run("finished"), task_run("failed"))
    times = {"startedAt": "2026-11-24T10:00:00Z", "finishedAt": "2026-11-24T10:00:05Z"}
    shop.finish("finished", phase="Succeeded", iterations=2, output={"rows": 3}, **times)
    shop.finish("failed", phase="Failed", error={"message": "no", "code": "X", "data": {"a": 1}}, **times)

    assert shop.listed("finished", taskStatus="success")["output"] == {"rows": 3}
    assert shop.listed("finished")["finishedOn"] == "2026-11-24T10:00:05.000Z"
    assert shop.listed("failed", taskStatus="failed")["output"] == {
        "error": {"message": "no", "code": "X", "data": {"a": 1}}
    }


def total(shop: Shop, where: dict[str, Any]) -> int:
    """Return how many tasks match."""
    count: int = shop.user.ask(LIST, where=where).data["listTasks"]["meta"]["totalCount"]
    return count


def test_a_list_comes_in_pages_with_a_cursor(shop: Shop) -> None:
    assert shop.kubectl.create(*(task_run(f"page-{number}", displayName="Pages") for number in range(5)))
    eventually(
        "all five", lambda: shop.user.ask(LIST, where={"name": "Pages"}).data["listTasks"]["meta"]["totalCount"] == 5
    )
    seen: list[str] = []
    after = None
    while True:
        page = shop.user.ask(
            LIST, where={"name_startsWith": "pag"}, sort=["values_name_ASC", "id_DESC"], limit=2, after=after
        ).data["listTasks"]
        assert page["meta"]["totalCount"] == 5
        seen += [task["id"] for task in page["data"]]
        after = page["meta"]["cursor"]
        assert page["meta"]["hasMoreItems"] is (after is not None)
        if after is None:
            break

    assert seen == [f"page-{number}" for number in range(4, -1, -1)]


def test_a_task_that_is_not_there_is_null_without_an_error(shop: Shop) -> None:
    for ident in ("missing", "../x", "UPPER", ""):
        answer = shop.user.ask(
            "query($id: ID!) { backgroundTasks { getTask(id: $id) { data { id } error { code } } } }", id=ident
        )
        assert answer.data["getTask"] == {"data": None, "error": None}


def test_logs_have_the_lines_of_each_iteration(shop: Shop) -> None:
    created = shop.kubectl.create(task_run("talker"), flags=("-o", "json"))
    run = shop.kubectl.get(TASK_RUNS, "talker")
    assert created
    lines = [
        {"time": "2026-11-24T10:00:00Z", "type": "info", "message": "begun", "data": {"rows": None}},
        {"time": "2026-11-24T10:00:01.5Z", "type": "error", "message": "broken", "error": {"message": "no"}},
    ]
    assert shop.kubectl.create(record("talker-i1", owner=run, logs=lines), record("talker-i2", owner=run))
    eventually(
        "both logs", lambda: shop.user.ask(LOGS, where={"task": "talker"}).data["listLogs"]["meta"]["totalCount"] == 2
    )

    second, first = shop.user.ask(LOGS, where={"task": "talker"}, sort=["values_iteration_DESC"]).data["listLogs"][
        "data"
    ]
    assert (second["iteration"], second["items"]) == (2, [])
    assert [item["message"] for item in first["items"]] == ["begun", "broken"]
    assert first["items"][0]["data"] == {"rows": None}
    assert first["items"][1]["error"] == {"message": "no"}
    assert (first["task"]["id"], first["executionName"]) == ("talker", "talker-i1")
    fields = 'getTask(id: "talker") { data { logs(limit: 10000, sort: [values_iteration_ASC]) { items { message } } } }'
    nested = shop.user.inside(fields)["getTask"]["data"]["logs"]
    assert [len(log["items"]) for log in nested] == [2, 0]
    broken = shop.user.ask(LOGS, where={"task": "talker", "items": {"type": "error", "message_contains": "BROK"}})
    assert [log["id"] for log in broken.data["listLogs"]["data"]] == ["talker-i1"]


def test_abort_notifies_the_operator_and_reports_what_cannot_be_aborted(shop: Shop) -> None:
    assert shop.kubectl.create(task_run("unwanted"), task_run("over"))
    shop.finish("over", phase="Succeeded")

    aborted = shop.user.ask(ABORT, id="unwanted", message="wrong file").data["abortTask"]
    again = shop.user.ask(ABORT, id="unwanted", message="another reason").data["abortTask"]
    late = shop.user.ask(ABORT, id="over").data["abortTask"]
    unknown = shop.user.ask(ABORT, id="missing").data["abortTask"]

    assert aborted["data"]["id"] == "unwanted"
    assert again["error"] is None
    assert shop.kubectl.get(TASK_RUNS, "unwanted")["spec"]["abort"]["message"] == "wrong file"
    who = 'getTask(id: "unwanted") { data { abortedBy { id } } }'
    eventually("it is shown by whom", lambda: shop.user.inside(who)["getTask"]["data"]["abortedBy"])
    named = shop.user.inside(who)["getTask"]["data"]["abortedBy"]["id"]
    assert named == shop.kubectl.get(TASK_RUNS, "unwanted")["spec"]["abort"]["by"]
    assert named == shop.name
    assert late["error"]["code"] == "BackgroundTasks/Task/Abort"
    assert late["error"]["message"] == "Cannot abort a task that is not pending or running!"
    assert late["error"]["data"] == {"id": "over", "status": "success"}
    assert unknown["error"]["code"] == "BackgroundTasks/Task/NotFoundError"


def test_delete_says_true_and_then_not_found(shop: Shop) -> None:
    document = f"mutation($id: ID!) {{ backgroundTasks {{ deleteTask(id: $id) {{ data {ERROR} }} }} }}"
    assert shop.kubectl.create(task_run("rubbish"))

    assert shop.user.ask(document, id="rubbish").data["deleteTask"] == {"data": True, "error": None}
    assert not shop.kubectl("get", TASK_RUNS, "rubbish")
    again = shop.user.ask(document, id="rubbish").data["deleteTask"]
    assert (again["data"], again["error"]["code"]) == (None, "BackgroundTasks/Task/NotFoundError")


def test_settings_are_kept_for_the_namespace(shop: Shop) -> None:
    document = f"""mutation($input: UpdateBackgroundTaskSettingsInput!) {{ backgroundTasks {{
        updateSettings(input: $input) {{ data {{ retentionDays }} {ERROR} }} }} }}"""
    get = "getSettings { data { retentionDays } error { code } }"
    assert eventually("default", lambda: shop.user.inside(get)["getSettings"]["data"]) == {"retentionDays": 90}

    assert shop.user.ask(document, input={"retentionDays": 7}).data["updateSettings"]["data"] == {"retentionDays": 7}
    assert shop.user.inside(get)["getSettings"]["data"] == {"retentionDays": 7}
    assert shop.user.ask(document, input={"retentionDays": 0}).data["updateSettings"]["data"] == {"retentionDays": 0}
    wrong = shop.user.ask(document, input={"retentionDays": 3651}).data["updateSettings"]["error"]
    assert wrong["code"] == "BackgroundTasks/ValidationError"
    assert wrong["data"]["issues"][0]["path"] == ["retentionDays"]
    assert shop.user.ask(document, input={"retentionDays": None}).data["updateSettings"]["data"] == {
        "retentionDays": 90
    }


# --- additions of Podrelay --------------------------------------------------------------------------------------------


def test_the_same_key_starts_a_run_once(shop: Shop) -> None:
    document = """mutation($input: JSON) { backgroundTasks {
        triggerTask(definition: "countWords", input: $input, idempotencyKey: "k1") { data { id } error { code } } } }"""
    first = shop.user.ask(document, input={"a": 1}).data["triggerTask"]
    again = shop.user.ask(document, input={"a": 1}).data["triggerTask"]
    other = shop.user.ask(document, input={"a": 2}).data["triggerTask"]

    assert first["data"]["id"] == again["data"]["id"]
    assert other["error"]["code"] == "BackgroundTasks/Task/Conflict"


def test_a_child_belongs_to_its_parent(shop: Shop) -> None:
    assert shop.kubectl.create(task_run("mother"))
    arguments = 'definition: "countWords", parent: "mother"'
    document = f"mutation {{ backgroundTasks {{ triggerTask({arguments}) {{ data {{ id parentId }} }} }} }}"
    child = shop.user.ask(document).data["triggerTask"]["data"]
    mother = shop.kubectl.get(TASK_RUNS, "mother")

    assert child["parentId"] == "mother"
    assert shop.kubectl.get(TASK_RUNS, child["id"])["metadata"]["ownerReferences"] == [owner_reference(mother)]
    query = 'getTask(id: "mother") { data { children { data { id parent { id } } meta { totalCount } } } }'
    children = eventually("the child", lambda: shop.user.inside(query)["getTask"]["data"]["children"]["data"])
    assert children == [{"id": child["id"], "parent": {"id": "mother"}}]


def test_a_run_is_repeated(shop: Shop) -> None:
    assert shop.kubectl.create(task_run("model", input={"n": None}, displayName="Model"))
    again = shop.user.ask(
        'mutation { backgroundTasks { rerunTask(id: "model") { data { id rerunOf input name } error { code } } } }'
    ).data["rerunTask"]["data"]

    assert (again["rerunOf"], again["input"], again["name"]) == ("model", {"n": None}, "Model")


def test_a_run_is_suspended_and_resumed(shop: Shop) -> None:
    document = (
        'mutation($on: Boolean!) { backgroundTasks { suspendTask(id: "tired", suspend: $on) { data { suspended } } } }'
    )
    assert shop.kubectl.create(task_run("tired"))

    assert shop.user.ask(document, on=True).data["suspendTask"]["data"] == {"suspended": True}
    assert shop.user.ask(document, on=False).data["suspendTask"]["data"] == {"suspended": False}
    assert shop.kubectl.get(TASK_RUNS, "tired")["spec"]["suspend"] is False


def test_statistics_count_by_status_definition_and_hour(shop: Shop) -> None:
    assert shop.kubectl.create(task_run("counted", "import-products"))
    shop.finish("counted", phase="Succeeded", startedAt="2026-11-24T10:00:00Z", finishedAt="2026-11-24T10:00:04Z")
    fields = """statistics(definition: "importProducts") { data { total byStatus { status count }
        byDefinition { definitionId durations { median p95 longest } } byHour { hour created } } error { code } }"""

    shop.listed("counted", taskStatus="success")
    found = shop.user.inside(fields)["statistics"]["data"]
    assert {"status": "success", "count": 1} in found["byStatus"]
    assert found["byDefinition"] == [
        {"definitionId": "importProducts", "durations": {"median": 4, "p95": 4, "longest": 4}}
    ]
    assert sum(hour["created"] for hour in found["byHour"]) == found["total"]
