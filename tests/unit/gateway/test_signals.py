"""Signals in GraphQL: which tasks wait, and what is sent to the API server in the caller's name."""

from datetime import timedelta
from typing import Any

import pytest

from podrelay.gateway.objects import ApprovalDecision, AwaitedSignals
from tests.unit.gateway.builders import NOW, run
from tests.unit.gateway.conftest import Gateway

ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop"
SIGNALS = f"{ROOT}/tasksignals"
SEND = """mutation($signal: String!, $payload: JSON, $decision: BackgroundTaskDecision, $key: String) {
  backgroundTasks { signalTask(id: "words", signal: $signal, payload: $payload, decision: $decision,
                               idempotencyKey: $key) {
    data { task signal payload decision sender phase } error { code message data } } } }"""
WAITING = """{ backgroundTasks { listWaiting { data { id waitingFor { signals count until }
  approvals { signal decision by iteration } } error { code } } } }"""


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
