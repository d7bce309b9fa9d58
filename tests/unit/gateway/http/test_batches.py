"""Several operations in one request: answered in order, each separately, and within limits for all together."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from graphql import GraphQLError
from strawberry.http import GraphQLRequestData
from strawberry.types import ExecutionResult

from podrelay.gateway import writing
from podrelay.gateway.call import Budget, Limits
from podrelay.gateway.errors import LimitError, ValidationError
from podrelay.gateway.event_loop.garbage import Garbage
from podrelay.gateway.event_loop.turns import Turns
from podrelay.gateway.http import batches, bodies
from podrelay.gateway.query import listing
from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway, Start

LIMIT = "BackgroundTasks/LimitExceeded"
HELLO = {"query": "{ __typename }"}
LIST = {"query": "{ backgroundTasks { listTasks(limit: 100) { data { id } error { code message } } } }"}
LOGS = {"query": "{ backgroundTasks { listLogs { data { id } error { code } } } }"}


def trigger(key: str) -> dict[str, Any]:
    return {
        "operationName": "Trigger",
        "variables": {"key": key},
        "query": """mutation Trigger($key: String) { backgroundTasks {
            triggerTask(definition: "countWords", idempotencyKey: $key) { data { id } error { code } } } }""",
    }


async def answers(gateway: Gateway, *operations: Any, token: str = "alice") -> list[dict[str, Any]]:
    """Send a batch and return its answers."""
    response = await gateway.post(list(operations), token)
    assert response.status == 200, await response.text()
    found: list[dict[str, Any]] = await response.json()
    return found


class _Unlimited:
    """A call that has time left."""

    services = SimpleNamespace(turns=Turns())
    batch = None

    def seconds_left(self) -> float:
        return 1


def listed(answer: dict[str, Any]) -> Any:
    return answer["data"]["backgroundTasks"]["listTasks"]


async def test_a_batch_is_answered_in_its_order(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    query = "query($id: ID!) { backgroundTasks { getTask(id: $id) { data { id } } } }"
    asked = [{"query": query, "variables": {"id": ident}} for ident in ("none", "words", "none")]

    found = [answer["data"]["backgroundTasks"]["getTask"]["data"] for answer in await answers(gateway, *asked)]
    assert found == [None, {"id": "words"}, None]


async def test_an_answer_of_a_batch_keeps_no_objects() -> None:
    """Ten lists of a thousand tasks would make each garbage collection take a fifth of a second."""

    async def execute(_: GraphQLRequestData) -> ExecutionResult:
        return ExecutionResult(data={"a": [1, "\ud800"]}, errors=[GraphQLError("no \ud800")])

    operation = GraphQLRequestData(query="{ a }", variables=None, operation_name=None, extensions=None)
    found = await batches.answer(cast("Any", _Unlimited()), operation, execute)

    assert (found.data, found.errors) == (None, None)
    assert json.loads(b"".join(found.encoded)) == {"data": {"a": [1, "\ud800"]}, "errors": [{"message": "no \ud800"}]}


async def test_garbage_is_collected_when_a_batch_was_answered(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full collection between two operations would have to visit what all of them have created."""
    moments: list[int] = []
    monkeypatch.setattr(Garbage, "_is_due", lambda self: moments.append(self._under_way))

    await answers(gateway, HELLO, LIST, HELLO)

    assert moments == [1, 1, 1, 0]


async def test_a_batch_may_have_one_operation(gateway: Gateway) -> None:
    assert await answers(gateway, HELLO) == [{"data": {"__typename": "Query"}}]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({}, "needs a query"),
        ({"query": 1}, "needs a query"),
        ({"query": ""}, "no query"),
        ({"query": "{"}, "Syntax Error"),
        ({"query": "{ nonsense }"}, "Cannot query field"),
        ({"query": "{ __typename }", "variables": []}, "variables must be"),
        ({"query": "{ __typename }", "operationName": 3}, "operationName must be"),
        ({"query": "{ __typename }", "operationName": "Other"}, "no operation 'Other'"),
        ({"query": "subscription { taskUpdated { id } }"}, "WebSocket"),
        ({"query": "{ " + " ".join(f"a{n}: __typename" for n in range(31)) + " }"}, "aliases"),
    ],
)
async def test_a_wrong_one_leaves_the_others_alone(gateway: Gateway, wrong: Any, words: str) -> None:
    before, refused, after = await answers(gateway, HELLO, wrong, HELLO)

    assert before == after == {"data": {"__typename": "Query"}}
    assert refused["data"] is None
    assert words in refused["errors"][0]["message"]


async def test_an_internal_error_leaves_the_others_alone(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr("podrelay.gateway.http.server.View.execute_single", fail)
    found = await answers(gateway, HELLO, HELLO)

    assert [one["errors"][0]["extensions"]["code"] for one in found] == ["BackgroundTasks/InternalError"] * 2
    assert "swordfish" not in json.dumps(found)
    assert "swordfish" in caplog.text


async def test_mutations_run_one_after_the_other(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.cache.definitions.apply(definition())
    done, really = [], writing.trigger

    async def watched(*arguments: Any, key: str, **more: Any) -> Any:
        done.append(f"begin {key}")
        found = await really(*arguments, key=key, **more)
        done.append(f"end {key}")
        return found

    monkeypatch.setattr(writing, "trigger", watched)
    found = await answers(gateway, *(trigger(key) for key in "abc"))

    assert done == ["begin a", "end a", "begin b", "end b", "begin c", "end c"]
    assert all(one["data"]["backgroundTasks"]["triggerTask"]["data"]["id"] for one in found)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([HELLO] * 11, 413, "11 operations, more than the 10 that are allowed: send several batches"),
        ([], 400, "no operations"),
        ([HELLO, 1], 400, "must be a JSON object with a query"),
        ([[HELLO]], 400, "must be a JSON object with a query"),
        ([None], 400, "must be a JSON object with a query"),
        (1, 400, "must be a JSON object with a query"),
    ],
    ids=["many", "none", "number", "nested", "null", "no-batch"],
)
async def test_a_batch_is_a_short_list_of_operations(gateway: Gateway, body: Any, status: int, words: str) -> None:
    response = await gateway.post(body)

    assert response.status == status
    assert words in (await response.json())["errors"][0]["message"]


async def test_the_maximum_length_of_a_batch_can_be_set(start: Start) -> None:
    gateway = await start(limits=Limits(max_batch=2))

    assert len(await answers(gateway, HELLO, HELLO)) == 2
    assert (await gateway.post([HELLO] * 3)).status == 413


def test_a_long_batch_is_refused_before_its_operations_are_processed() -> None:
    with pytest.raises(LimitError, match="40000 operations"):
        bodies.decode_request(b"[" + b"{}," * 39_999 + b"{}]", 10)
    assert bodies.excess(b"[" + b"{}," * 60_000 + b"{}]")
    with pytest.raises(ValidationError, match="at least one"):
        bodies.decode_request(b"[]", 10)


async def test_each_operation_has_a_budget_and_all_together_have_another(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.cache.runs.replace([run(f"r{number}") for number in range(100)], "1")
    monkeypatch.setattr(Budget, "of_batch", lambda: Budget(rows=250))
    many = " ".join(f"a{number}: listTasks(limit: 100) {{ data {{ id }} error {{ code }} }}" for number in range(11))

    beyond, *others = await answers(gateway, {"query": f"{{ backgroundTasks {{ {many} }} }}"}, LIST)
    fine = await answers(gateway, LIST, LIST, LIST, LIST)

    assert {one["error"]["code"] for one in beyond["data"]["backgroundTasks"].values() if one["error"]} == {LIMIT}
    assert [listed(one)["error"]["code"] for one in others] == [LIMIT]
    assert [len(listed(one)["data"] or ()) for one in fine] == [100, 100, 0, 0]
    assert "operations of this batch together exceed a limit" in listed(fine[2])["error"]["message"]
    assert (await gateway.ask(LIST["query"]))["data"]["backgroundTasks"]["listTasks"]["error"] is None


async def test_ten_pages_of_fifty_are_within_the_limits(gateway: Gateway) -> None:
    gateway.cache.runs.replace([run(f"r{number}") for number in range(100)], "1")
    query = {"query": LIST["query"].replace("limit: 100", "limit: 50")}

    assert [len(listed(one)["data"]) for one in await answers(gateway, *[query] * 10)] == [50] * 10


async def test_all_payloads_of_a_batch_have_the_limit_of_one_operation(gateway: Gateway) -> None:
    root = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"
    for number in range(50):
        gateway.cache.runs.apply(run(f"r{number}"))
        gateway.api.objects[f"{root}/r{number}"] = {"spec": {"input": {"x": "y" * 200_000}}}
    query = {"query": "{ backgroundTasks { listTasks { data { input } } } }"}

    first, second = await answers(gateway, query, query)
    assert "errors" not in first
    assert {error["extensions"]["code"] for error in second["errors"]} == {LIMIT}


async def test_a_batch_ends_in_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await start(limits=Limits(seconds=0.05))

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(listing, "logs", hang)
    slow, *late = await answers(gateway, LOGS, trigger("a"), HELLO)

    assert "longer than 0.05 s: ask for less" in slow["errors"][0]["message"]
    assert ["not started" in one["errors"][0]["message"] for one in late] == [True, True]
    assert late[0]["errors"][0]["extensions"]["code"] == "BackgroundTasks/Unavailable"
    assert not [seen for seen in gateway.api.seen if "/taskruns" in seen[1]]


async def test_a_batch_of_a_caller_without_a_role_costs_one_review(gateway: Gateway) -> None:
    found = await answers(gateway, *[LIST] * 10, token="bob")

    assert {listed(one)["error"]["code"] for one in found} == {"BackgroundTasks/NotAuthorized"}
    assert gateway.api.asked("accessreviews") == 1


async def test_batches_are_refused_over_a_websocket(gateway: Gateway) -> None:
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_str("[]")
        async for _ in socket:
            pass
    assert socket.close_code == 4400
