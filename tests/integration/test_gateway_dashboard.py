"""What a dashboard shows, with real tokens: each field needs its right, and shows what operator and pods have done."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dev.harness.gateway import GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support.namespaces import temporary_namespace
from tests.support.relay import Relay

pytestmark = pytest.mark.integration

NOT_AUTHORIZED = "BackgroundTasks/NotAuthorized"


@dataclass(frozen=True)
class Users:
    """A gateway, a namespace in which an operator runs, one without, and clients of users with different rights."""

    gateway: GatewayProcess
    relay: Relay
    elsewhere: Kubectl
    viewer: GraphQL
    """May read tasks, logs and definitions."""
    inspector: GraphQL
    """May in addition read pods, their logs and Events."""
    user: GraphQL
    outsider: GraphQL
    mayor: GraphQL


@pytest.fixture(scope="module")
def users(relay: Relay, admin: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    here = relay.kubectl.namespace
    roles = {
        "viewer": ["podrelay-viewer"],
        "inspector": ["podrelay-viewer", "view"],
        "user": ["podrelay-user"],
        "outsider": [],
        "mayor": ["podrelay-user"],
    }
    with (
        temporary_namespace(admin) as elsewhere,
        GatewayProcess(admin.kubeconfig, tmp_path_factory.mktemp("gateway")) as gateway,
    ):
        clients: dict[str, GraphQL] = {}
        for name, bound in roles.items():
            relay.kubectl.do("create", "serviceaccount", name)
            for role in bound:
                account = f"--serviceaccount={here}:{name}"
                relay.kubectl.do("create", "rolebinding", f"{name}-{role}", f"--clusterrole={role}", account)
            clients[name] = gateway.as_token(relay.kubectl.do("create", "token", name).strip(), here)
        account = f"--serviceaccount={here}:mayor"
        elsewhere.do("create", "rolebinding", "mayor", "--clusterrole=podrelay-viewer", account)
        assert elsewhere.apply(task_definition("count-words"))
        yield Users(gateway, relay, elsewhere, **clients)
        assert "Traceback" not in gateway.text, gateway.text


def of_task(user: GraphQL, ident: str, fields: str) -> Any:
    """Return the fields of a task."""
    return user.inside(f'getTask(id: "{ident}") {{ data {{ {fields} }} error {{ code }} }}')["getTask"]["data"]


def refused(user: GraphQL, fields: str) -> list[str]:
    """Return the codes of the GraphQL errors of a query."""
    return user.ask(f"{{ backgroundTasks {{ {fields} }} }}").error_codes


def seen(user: GraphQL, ident: str, status: str) -> None:
    eventually(f"{ident} is {status}", lambda: (of_task(user, ident, "taskStatus") or {}).get("taskStatus") == status)


def allowed(user: GraphQL, where: str = "") -> set[str]:
    found = user.inside(f"whoAmI {{ data {{ permissions{where} {{ name allowed }} }} }}")["whoAmI"]["data"]
    return {one["name"] for one in found["permissions"] if one["allowed"]}


# --- who may do what --------------------------------------------------------------------------------------------------


def test_each_user_learns_what_they_may_do(users: Users) -> None:
    reads = {"LIST_TASKS", "GET_TASKS", "WATCH_TASKS", "LIST_DEFINITIONS", "LIST_LOGS", "WATCH_LOGS", "GET_SETTINGS"}
    reads |= {"LIST_SCHEDULES", "GET_SCHEDULES", "WATCH_SCHEDULES", "LIST_SIGNALS"}
    writes = {"CREATE_TASKS", "TRIGGER_TASKS", "PATCH_TASKS", "DELETE_TASKS", "RUN_DEFINITIONS"}
    writes |= {"PATCH_SCHEDULES", "DELETE_SCHEDULES", "CREATE_SIGNALS"}

    assert allowed(users.viewer) == reads
    assert allowed(users.inspector) == reads | {"GET_PODS", "GET_POD_LOGS", "LIST_EVENTS"}
    assert allowed(users.user) == reads | writes
    assert allowed(users.outsider) == set()
    assert allowed(users.mayor, f'(namespace: "{users.elsewhere.namespace}")') == reads
    assert allowed(users.mayor, '(namespace: "*")') == set()
    who = users.viewer.inside("whoAmI { data { identity { id type } namespace } }")["whoAmI"]["data"]
    assert who["identity"]["id"] == f"system:serviceaccount:{users.relay.kubectl.namespace}:viewer"
    assert who["namespace"] == users.relay.kubectl.namespace


def test_each_user_learns_only_of_their_namespaces(users: Users) -> None:
    users.relay.define("Answer")
    here, there = users.relay.kubectl.namespace, users.elsewhere.namespace

    def namespaces(user: GraphQL) -> list[str]:
        found: list[str] = user.inside("whoAmI { data { namespaces } }")["whoAmI"]["data"]["namespaces"]
        return found

    eventually("both are known", lambda: namespaces(users.mayor) == sorted([here, there]))
    assert namespaces(users.viewer) == [here]
    assert namespaces(users.outsider) == []


QUERIES = {
    "getDefinition": 'getDefinition(id: "answer") { data { id } error { code } }',
    "getQueue": 'getQueue(definition: "answer") { data { active } error { code } }',
    "overview": "overview { data { created } error { code } }",
    "validateInput": 'validateInput(definition: "answer") { data { isValid } error { code } }',
}


@pytest.mark.parametrize("field", QUERIES)
def test_a_query_needs_the_right_to_read(users: Users, field: str) -> None:
    users.relay.define("Answer")
    eventually("it is seen", lambda: users.viewer.inside(QUERIES["getDefinition"])["getDefinition"]["data"])

    assert users.outsider.inside(QUERIES[field])[field] == {"data": None, "error": {"code": NOT_AUTHORIZED}}
    answer = users.viewer.inside(QUERIES[field])[field]
    assert answer["error"] is None
    assert answer["data"] is not None


# --- what has happened ------------------------------------------------------------------------------------------------


def test_the_history_of_a_relay_shows_each_state_and_pod(users: Users) -> None:
    users.relay.define("Chain", podCleanup="Never")
    users.relay.run("chained", "chain", input={"rounds": 2})
    users.relay.finished("chained")
    seen(users.inspector, "chained", "success")
    fields = """history { iteration attempt podName answer nodeName startedOn finishedOn input nextInput
        pod { phase exitCode nodeName startedOn } } failure { code } diagnosis { needsAction } isStalled"""
    found = of_task(users.inspector, "chained", fields)

    history = found["history"]
    assert [(one["podName"], one["iteration"], one["attempt"]) for one in history] == [
        (f"chained-i{number}", number, 1) for number in range(len(history), 0, -1)
    ]
    assert [one["answer"] for one in history] == ["done", *["continue"] * (len(history) - 1)]
    assert len(history) >= 2
    for later, earlier in itertools.pairwise(history):
        assert later["input"] == earlier["nextInput"]
    assert history[-1]["input"]["rounds"] == 2
    assert all(one["pod"]["exitCode"] == 0 and one["pod"]["nodeName"] == one["nodeName"] for one in history)
    assert found["failure"] is None
    assert found["diagnosis"]["needsAction"] is False


def test_a_pod_that_ended_without_an_answer_shows_cause_and_exit_code(users: Users) -> None:
    users.relay.define_script("crash", "echo about to fail; exit 3")
    users.relay.run("crashed", "crash")
    users.relay.finished("crashed")
    seen(users.inspector, "crashed", "failed")
    fields = "failure { code message } history { errorCode cause exitCode error } diagnosis { reason advice } reason"
    found = of_task(users.inspector, "crashed", fields)

    assert found["failure"]["code"] == "ExitCode3"
    (attempt,) = found["history"]
    assert (attempt["errorCode"], attempt["cause"], attempt["exitCode"]) == ("ExitCode3", "PodFailure", 3)
    assert "exit code 3" in attempt["error"]["message"]
    assert found["diagnosis"]["reason"] == "ExitCode3"


def test_events_need_the_right_to_list_events(users: Users) -> None:
    users.relay.define("Answer")
    users.relay.run("eventful", "answer", input={"how": "done"})
    users.relay.finished("eventful")
    seen(users.inspector, "eventful", "success")

    def reasons() -> set[tuple[str, str]]:
        found = of_task(users.inspector, "eventful", "events { kind reason source lastOn }")["events"]
        assert [one["lastOn"] for one in found] == sorted((one["lastOn"] for one in found), reverse=True)
        return {(one["kind"], one["source"]) for one in found}

    # The Events of the operator, and the one of the real scheduler.
    eventually("Events of the task and its pod", lambda: {kind for kind, _ in reasons()} == {"TaskRun", "Pod"})
    assert refused(users.viewer, 'getTask(id: "eventful") { data { events { id } } }') == [NOT_AUTHORIZED]


def test_the_pod_of_an_attempt_needs_the_right_to_get_pods(users: Users) -> None:
    users.relay.define("Answer", podCleanup="Never")
    users.relay.run("kept", "answer", input={"how": "done"})
    users.relay.finished("kept")
    seen(users.viewer, "kept", "success")

    (attempt,) = of_task(users.inspector, "kept", "history { pod { phase } }")["history"]
    assert attempt["pod"]["phase"] == "Succeeded"
    assert refused(users.viewer, 'getTask(id: "kept") { data { history { pod { phase } } } }') == [NOT_AUTHORIZED]
    assert of_task(users.viewer, "kept", "history { answer }")["history"] == [{"answer": "done"}]


def test_the_queue_shows_who_has_the_slot_and_who_is_next(users: Users) -> None:
    users.relay.define("Sleep", "narrow", maxConcurrentRuns=1)
    for name in ("queue-a", "queue-b", "queue-c"):
        users.relay.run(name, "narrow", input={"seconds": 600})
        users.relay.until(name, "it is seen", phase="Running" if name == "queue-a" else "Pending")
    fields = 'getQueue(definition: "narrow") { data { active waiting activeTasks { id } waitingTasks { id } } }'
    expected = {
        "active": 1,
        "waiting": 2,
        "activeTasks": [{"id": "queue-a"}],
        "waitingTasks": [{"id": "queue-b"}, {"id": "queue-c"}],
    }

    eventually("the queue", lambda: users.viewer.inside(fields)["getQueue"]["data"] == expected)
    assert of_task(users.viewer, "queue-c", "queue { position waiting active }")["queue"] == {
        "position": 2,
        "waiting": 2,
        "active": 1,
    }
    done = bulk(users.user, "abortTasks", 'where: {definitionId: "narrow"}')
    assert (done["succeeded"], done["failed"]) == (3, 0)
    for name in ("queue-a", "queue-b", "queue-c"):
        assert users.relay.finished(name)["phase"] == "Aborted"


def test_the_overview_counts_what_finished(users: Users) -> None:
    users.relay.define("Answer", "counted")
    users.relay.run("counted-a", "counted", input={"how": "done"})
    users.relay.run("counted-b", "counted", input={"how": "error"})
    for name in ("counted-a", "counted-b"):
        users.relay.finished(name)
    fields = """overview(definition: "counted") { data { created finished { status count } failures { reason count }
        successRate durations { longest } queueSeconds { longest } iterations { median } } }"""

    def counted() -> Any:
        found = users.viewer.inside(fields)["overview"]["data"]
        return found if len(found["finished"]) == 2 else None

    found = eventually("both are counted", counted) or {}
    assert found["created"] == 2
    assert found["finished"] == [{"status": "failed", "count": 1}, {"status": "success", "count": 1}]
    assert found["failures"] == [{"reason": "TaskFailed", "count": 1}]
    assert (found["successRate"], found["iterations"]) == (0.5, {"median": 1})
    statistics = users.viewer.inside('getDefinition(id: "counted") { data { statistics { successRate } } }')
    assert statistics["getDefinition"]["data"]["statistics"] == {"successRate": 0.5}


# --- many at once -----------------------------------------------------------------------------------------------------


def bulk(user: GraphQL, field: str, arguments: str) -> Any:
    shown = "data { id ok error { code } } succeeded failed meta { cursor } error { code }"
    return user.ask(f"mutation {{ backgroundTasks {{ {field}({arguments}) {{ {shown} }} }} }}").data[field]


@pytest.mark.parametrize("field", ["abortTasks", "suspendTasks", "rerunTasks", "deleteTasks"])
def test_each_task_of_many_needs_the_right(users: Users, field: str) -> None:
    assert users.elsewhere.apply(task_run("theirs"))
    by_id = bulk(users.viewer, field, 'ids: ["theirs", "missing"]')
    by_filter = bulk(users.outsider, field, "where: {}")

    assert [one["error"]["code"] for one in by_id["data"]] == [NOT_AUTHORIZED] * 2
    assert (by_filter["data"], by_filter["error"]) == (None, {"code": NOT_AUTHORIZED})


def test_a_right_to_one_task_is_enough_for_that_task(users: Users) -> None:
    kubectl = users.relay.kubectl
    for name in ("mine", "yours"):
        assert kubectl.create(task_run(name, "nothing", suspend=True))
    kubectl.do("create", "role", "mine", "--verb=get,patch", "--resource=taskruns.podrelay.dev", "--resource-name=mine")
    kubectl.do("create", "serviceaccount", "owner")
    account = f"--serviceaccount={kubectl.namespace}:owner"
    kubectl.do("create", "rolebinding", "owner", "--role=mine", account)
    owner = users.gateway.as_token(kubectl.do("create", "token", "owner").strip(), kubectl.namespace)

    found = bulk(owner, "suspendTasks", 'ids: ["mine", "yours"], suspend: false')
    assert [(one["id"], one["ok"], one["error"]) for one in found["data"]] == [
        ("mine", True, None),
        ("yours", False, {"code": NOT_AUTHORIZED}),
    ]
    kubectl.do("delete", TASK_RUNS, "mine", "yours")


def test_tasks_are_deleted_page_by_page(users: Users) -> None:
    for number in range(5):
        assert users.relay.kubectl.create(task_run(f"many-{number}", "none-such", suspend=True))
    where = 'where: {definitionId: "noneSuch"}'
    eventually("all are seen", lambda: len(found(users.user, where)) == 5)
    deleted: list[str] = []
    after = ""
    while True:
        page = bulk(users.user, "deleteTasks", f"{where}, limit: 2{after}")
        assert page["failed"] == 0
        deleted += [one["id"] for one in page["data"]]
        if (cursor := page["meta"]["cursor"]) is None:
            break
        after = f', after: "{cursor}"'

    assert sorted(deleted) == [f"many-{number}" for number in range(5)]
    assert found(users.user, where) == []


def found(user: GraphQL, where: str) -> list[str]:
    data = user.inside(f"listTasks({where}) {{ data {{ id }} }}")["listTasks"]["data"]
    return [one["id"] for one in data]


# --- subscriptions ----------------------------------------------------------------------------------------------------


async def test_a_task_that_leaves_the_filter_is_sent_with_that_news(users: Users) -> None:
    kubectl = users.relay.kubectl
    document = """subscription { taskUpdated(where: {taskStatus: "pending", definitionId: "leaving"}, announce: true) {
        type id matches task { taskStatus } } }"""
    async with users.viewer.subscribe(document) as subscription:
        assert (await subscription.next())["type"] == "READY"
        await asyncio.to_thread(kubectl.create, task_run("leaves", "leaving", suspend=True))
        await subscription.until("it is in the list", lambda event: event["id"] == "leaves" and event["matches"])
        await asyncio.to_thread(users.relay.abort, "leaves")
        left = await subscription.until("it has left", lambda event: not event["matches"])

    assert (left["id"], left["task"]["taskStatus"]) == ("leaves", "aborted")


async def test_lines_of_deleted_pods_continue_after_a_cursor(users: Users) -> None:
    users.relay.define("Prints", podCleanup="Always")
    users.relay.run("printed", "prints")
    users.relay.finished("printed")
    seen(users.inspector, "printed", "success")
    eventually("its pod is deleted", lambda: not users.relay.pods("printed"))

    async def lines(after: str | None) -> list[Any]:
        document = """subscription($after: String) { taskLogs(id: "printed", podOutput: true, after: $after) {
            source message iteration attempt cursor } }"""
        received: list[Any] = []
        async with users.inspector.subscribe(document, after=after) as subscription:
            while (message := await subscription.receive())["type"] != "complete":
                received += message["payload"]["data"].values()
        return received

    everything = await lines(None)
    assert {(line["iteration"], line["attempt"]) for line in everything} == {(1, 1)}
    assert "POD" in {line["source"] for line in everything}
    rest = await lines(everything[0]["cursor"])
    assert [line["message"] for line in rest] == [line["message"] for line in everything[1:]]
