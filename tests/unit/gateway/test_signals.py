"""Signals in GraphQL: which tasks wait, and what is sent to the API server in the caller's name."""

from datetime import timedelta
from typing import Any

import pytest

from podrelay.gateway.objects import Approval, ApprovalDecision, AwaitedSignals, Present, SignalType
from tests.unit.gateway.builders import NOW, definition, record, run
from tests.unit.gateway.conftest import Gateway

ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop"
SIGNALS = f"{ROOT}/tasksignals"
SEND = """mutation($signal: String!, $payload: JSON, $decision: BackgroundTaskDecision, $key: String) {
  backgroundTasks { signalTask(id: "words", signal: $signal, payload: $payload, decision: $decision,
                               idempotencyKey: $key) {
    data { task signal payload decision sender phase } error { code message data } } } }"""
WAITING = """{ backgroundTasks { listWaiting { data { id waitingFor { signals count until }
  approvals { signal decision by iteration } } error { code } } } }"""

AWAITED = """query($mine: Boolean!) { backgroundTasks { listWaiting(mine: $mine) { data { id waitingFor {
  since awaited { name refusal type { description payloadSchema approval { required groups excludeCreator } } } } }
  meta { totalCount } error { code message } } } }"""


@pytest.fixture(autouse=True)
def _words(gateway: Gateway) -> None:
    gateway.api.objects[f"{ROOT}/taskruns/words"] = {
        "metadata": {"name": "words", "namespace": "shop", "uid": "u1"},
        "spec": {"definition": "count-words"},
        "status": {"phase": "Running"},
    }
    gateway.api.objects[f"{ROOT}/taskdefinitions/count-words"] = {
        "metadata": {"name": "count-words", "namespace": "shop"},
        "spec": {
            "signals": [
                {"name": "payment", "payloadSchema": {"type": "object", "required": ["amount"]}},
                {"name": "release", "approval": {"required": 2, "groups": ["alices-team", "others"]}},
            ]
        },
    }


async def send(gateway: Gateway, signal: str, token: str = "alice", **variables: Any) -> Any:
    answer = await gateway.ask(SEND, token, signal=signal, **variables)
    assert "errors" not in answer, answer
    return answer["data"]["backgroundTasks"]["signalTask"]


def sent(gateway: Gateway) -> list[Any]:
    return [stored for path, stored in gateway.api.objects.items() if path.startswith(f"{SIGNALS}/")]


async def test_a_signal_is_sent_in_the_name_of_the_caller(gateway: Gateway) -> None:
    answer = await send(gateway, "payment", payload={"amount": 3})

    assert answer["data"] == {
        "task": "words",
        "signal": "payment",
        "payload": {"amount": 3},
        "decision": None,
        "sender": "alice",
        "phase": "Pending",
    }
    (stored,) = sent(gateway)
    assert stored["spec"] == {"taskRun": "words", "signal": "payment", "payload": {"amount": 3}}
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "u1"


async def test_a_decision_names_the_groups_of_the_caller_that_count(gateway: Gateway) -> None:
    answer = await send(gateway, "release", decision="APPROVE")

    assert answer["data"]["decision"] == "APPROVE"
    (stored,) = sent(gateway)
    assert stored["spec"]["decision"] == "Approve"
    assert stored["spec"]["groups"] == ["alices-team"]


async def test_calls_with_the_same_key_send_one_signal(gateway: Gateway) -> None:
    first = await send(gateway, "payment", payload={"amount": 3}, key="a")
    second = await send(gateway, "payment", payload={"amount": 3}, key="a")
    other = await send(gateway, "payment", payload={"amount": 4}, key="a")

    assert first["data"] == second["data"]
    assert other["error"]["code"] == "BackgroundTasks/Signal/Conflict"
    assert len(sent(gateway)) == 1


@pytest.mark.parametrize(
    ("signal", "variables", "code"),
    [
        ("payment", {"payload": {"sum": 3}}, "VALIDATION_FAILED_INVALID_FIELDS"),
        ("payment", {"payload": ["no object"]}, "BackgroundTasks/ValidationError"),
        ("payment", {"payload": {"amount": 1, "text": "x" * 70_000}}, "BackgroundTasks/ValidationError"),
        ("refund", {}, "BackgroundTasks/ValidationError"),
        ("not a name", {}, "BackgroundTasks/ValidationError"),
    ],
    ids=["schema", "no object", "too large", "unknown", "name"],
)
async def test_a_signal_that_would_be_rejected_is_refused_at_once(
    gateway: Gateway, signal: str, variables: dict[str, Any], code: str
) -> None:
    answer = await send(gateway, signal, **variables)

    assert answer["error"]["code"] == code
    assert sent(gateway) == []


async def test_a_finished_task_cannot_be_signalled(gateway: Gateway) -> None:
    gateway.api.objects[f"{ROOT}/taskruns/words"]["status"]["phase"] = "Succeeded"

    assert (await send(gateway, "payment", payload={"amount": 3}))["error"]["code"].endswith("TaskFinished")


async def test_who_may_not_send_signals_sends_none(gateway: Gateway) -> None:
    gateway.api.rights["bob"] = {"get taskruns"}
    assert (await send(gateway, "payment", "bob"))["error"]["code"] == "BackgroundTasks/NotAuthorized"

    gateway.api.rights["bob"] = {"create tasksignals"}
    assert (await send(gateway, "payment", "bob"))["error"]["code"] == "BackgroundTasks/NotAuthorized"
    assert sent(gateway) == []


async def test_the_tasks_that_wait_are_listed_with_what_they_wait_for(gateway: Gateway) -> None:
    decided = ApprovalDecision("release", "Approve", "bob", NOW, 1)
    wanted = AwaitedSignals(("release",), 2, NOW + timedelta(hours=1))
    waits = run("order", phase="Running", reason="WaitingForSignal", waiting_for=wanted, approvals=(decided,))
    gateway.cache.runs.apply(waits)
    gateway.cache.runs.apply(run("other", phase="Running", reason="Waiting"))

    answer = await gateway.ask(WAITING)

    (shown,) = answer["data"]["backgroundTasks"]["listWaiting"]["data"]
    assert shown["id"] == "order"
    assert (shown["waitingFor"]["signals"], shown["waitingFor"]["count"]) == (["release"], 2)
    assert shown["approvals"] == [{"signal": "release", "decision": "Approve", "by": "bob", "iteration": 1}]


def waits(name: str = "order", signals: tuple[str, ...] = ("release",), **fields: Any) -> Any:
    """A run whose second iteration waits."""
    return run(
        name,
        phase="Running",
        reason="WaitingForSignal",
        iterations=1,
        waiting_for=AwaitedSignals(signals, 2, NOW + timedelta(hours=1)),
        **fields,
    )


def defined(gateway: Gateway, approval: Approval | None = None, **spec: Any) -> None:
    kinds = (SignalType("payment", "the money", Present()), SignalType("release", None, None, approval))
    gateway.cache.definitions.apply(definition(**{"signals": kinds, **spec}))


async def listed(gateway: Gateway, token: str = "alice", *, mine: bool = False, namespace: str = "shop") -> Any:
    body = {"query": AWAITED, "variables": {"mine": mine}}
    response = await gateway.post(body, token, X_Podrelay_Namespace=namespace)
    answer = await response.json()
    assert "errors" not in answer, answer
    found = answer["data"]["backgroundTasks"]["listWaiting"]
    assert found["error"] is None, found
    assert found["meta"]["totalCount"] == len(found["data"])
    return found["data"]


async def refusal(gateway: Gateway, token: str = "alice") -> str | None:
    (shown,) = await listed(gateway, token)
    (one,) = shown["waitingFor"]["awaited"]
    assert bool(await listed(gateway, token, mine=True)) is (one["refusal"] is None)
    words: str | None = one["refusal"]
    return words


async def test_what_a_task_waits_for_is_shown_with_its_schema_and_policy(gateway: Gateway) -> None:
    defined(gateway, Approval(2, ("ops",), exclude_creator=True))
    gateway.cache.records.apply(record("order", 1, finished_at=NOW))
    gateway.cache.runs.apply(waits(signals=("payment", "release"), last_record="order-i1"))

    (shown,) = await listed(gateway)

    payment, release = shown["waitingFor"]["awaited"]
    assert shown["waitingFor"]["since"] == "2026-11-24T12:00:00.000Z"
    assert payment["refusal"] is None
    assert payment["type"] == {
        "description": "the money",
        "payloadSchema": {"type": "object", "required": ["amount"]},
        "approval": None,
    }
    assert release["type"]["approval"] == {"required": 2, "groups": ["ops"], "excludeCreator": True}
    assert release["refusal"] == "Only members of ops may decide."


async def test_a_definition_that_lists_no_signals_accepts_all(gateway: Gateway) -> None:
    defined(gateway, signals=None)
    gateway.cache.runs.apply(waits())

    (shown,) = await listed(gateway, mine=True)
    assert shown["waitingFor"]["awaited"] == [{"name": "release", "refusal": None, "type": None}]


async def test_a_signal_that_the_definition_does_not_list_is_refused(gateway: Gateway) -> None:
    defined(gateway, signals=())
    gateway.cache.runs.apply(waits())

    assert "does not list the signal release" in (await refusal(gateway) or "")


@pytest.mark.parametrize(
    ("approval", "by", "words"),
    [
        (None, "alice", None),
        (Approval(1, ("alices-team", "ops")), "alice", None),
        (Approval(1, ("ops", "admins")), None, "Only members of ops or admins may decide."),
        (Approval(1, None, exclude_creator=True), "bob", None),
        (Approval(1, None, exclude_creator=True), "alice", "You have created this task, so another user must decide."),
        (Approval(1, None, exclude_creator=True), None, "it is not known who"),
    ],
)
async def test_who_may_decide(gateway: Gateway, approval: Approval | None, by: str | None, words: str | None) -> None:
    defined(gateway, approval)
    gateway.cache.runs.apply(waits(about={"by": by}))

    found = await refusal(gateway)
    assert (found is None) if words is None else (words in (found or ""))


async def test_the_creator_of_a_child_is_that_of_its_parent(gateway: Gateway) -> None:
    defined(gateway, Approval(1, None, exclude_creator=True))
    gateway.cache.runs.apply(run("parent", phase="Running", about={"by": "alice"}))
    gateway.cache.runs.apply(waits(spec={"parent": "parent"}))

    assert "You have created this task" in (await refusal(gateway) or "")


async def test_who_has_decided_in_this_wait_does_not_decide_again(gateway: Gateway) -> None:
    defined(gateway, Approval(2))
    gateway.cache.runs.apply(waits(approvals=(ApprovalDecision("release", "Approve", "alice", NOW, 1),)))
    assert await refusal(gateway) == "You have decided already."

    gateway.cache.runs.apply(
        waits(approvals=(ApprovalDecision("release", "Approve", "alice", NOW, 0),), about={"version": "2"})
    )
    assert await refusal(gateway) is None, "an earlier wait was another question"


async def test_who_may_not_send_signals_sees_why(gateway: Gateway) -> None:
    gateway.api.rights["bob"] = {"list taskruns", "get taskdefinitions"}
    defined(gateway)
    gateway.cache.runs.apply(waits())

    assert await refusal(gateway, "bob") == (
        "You may not send signals here: it needs the right to create tasksignals.podrelay.dev."
    )


async def test_the_policy_is_shown_only_to_who_may_read_definitions(gateway: Gateway) -> None:
    gateway.api.rights["bob"] = {"list taskruns", "create tasksignals"}
    defined(gateway, Approval(1, ("ops",)))
    gateway.cache.runs.apply(waits())

    (shown,) = await listed(gateway, "bob")
    assert shown["waitingFor"]["awaited"] == [{"name": "release", "refusal": None, "type": None}]


async def test_of_all_namespaces_those_are_mine_in_which_i_may_send(gateway: Gateway) -> None:
    gateway.api.rights["bob"] = {"list taskruns", "get taskdefinitions"}
    gateway.api.rights_in["bob", "till"] = {"create tasksignals"}
    gateway.cache.runs.apply(waits("here"))
    gateway.cache.runs.apply(waits("there", about={"namespace": "till"}))

    assert [one["id"] for one in await listed(gateway, "bob", namespace="*")] == ["till/there", "shop/here"]
    assert [one["id"] for one in await listed(gateway, "bob", mine=True, namespace="*")] == ["till/there"]
    assert len(await listed(gateway, "alice", mine=True, namespace="*")) == 2


SENT = """query($limit: Int!) { backgroundTasks { getTask(id: "words") { data {
  signals(limit: $limit) { id signal payload decision sender phase task } } } } }"""


async def test_the_signals_of_a_task_are_read_oldest_first(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    for name, task, second in (("b", "words", 1), ("a", "words", 2), ("c", "other", 0)):
        about = {"name": name, "creationTimestamp": f"2026-11-24T12:00:0{second}Z"}
        gateway.api.objects[f"{SIGNALS}/{name}"] = {"metadata": about, "spec": {"taskRun": task, "signal": "payment"}}

    answer = await gateway.ask(SENT, limit=100)
    found = answer["data"]["backgroundTasks"]["getTask"]["data"]["signals"]
    assert [one["id"] for one in found] == ["b", "a"]
    assert found[0]["phase"] == "Pending"
    answer = await gateway.ask(SENT, limit=1)
    assert len(answer["data"]["backgroundTasks"]["getTask"]["data"]["signals"]) == 1

    gateway.api.rights["bob"] = {"get taskruns"}
    answer = await gateway.ask(SENT, "bob", limit=100)
    assert answer["data"]["backgroundTasks"]["getTask"]["data"]["signals"] is None
    assert answer["errors"][0]["extensions"]["code"] == "BackgroundTasks/NotAuthorized"


async def test_a_definition_shows_the_signals_that_its_tasks_understand(gateway: Gateway) -> None:
    defined(gateway, Approval(2))

    answer = await gateway.ask(
        '{ backgroundTasks { getDefinition(id: "countWords") { data { signals { name payloadSchema } } } } }'
    )

    assert answer["data"]["backgroundTasks"]["getDefinition"]["data"]["signals"] == [
        {"name": "payment", "payloadSchema": {"type": "object", "required": ["amount"]}},
        {"name": "release", "payloadSchema": None},
    ]
