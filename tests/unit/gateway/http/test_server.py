"""HTTP and WebSockets: limits, refusals, masked errors, and the number of requests for a page of 10,000 tasks."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis_graphql import queries as random_queries

from podrelay.gateway.access import YES_SECONDS
from podrelay.gateway.call import MAX_FETCHES, Limits
from podrelay.gateway.documents.shapes import DocumentLimits
from podrelay.gateway.http.server import ServerOptions
from podrelay.gateway.metrics import SKIPPED
from podrelay.gateway.query import listing
from podrelay.gateway.schema.build import build
from tests.unit.gateway.builders import definition, record, run
from tests.unit.gateway.conftest import Gateway, Start

LIST = """query($limit: Int, $sort: [WebinyBackgroundTaskListSorter!]) { backgroundTasks {
    listTasks(where: {taskStatus: "running", iterations_gte: 3}, limit: $limit, sort: $sort) {
        data { id name createdOn } meta { totalCount hasMoreItems } error { message code } } } }"""


async def test_a_page_of_ten_thousand_tasks_needs_only_the_reviews(gateway: Gateway) -> None:
    gateway.cache.runs.replace(
        [
            run(f"r{number}", phase="Running" if number % 2 else "Failed", iterations=number % 10)
            for number in range(10_000)
        ],
        "1",
    )
    answer = await gateway.ask(LIST, limit=50, sort=["iterations_DESC", "values_name_ASC"])
    page = answer["data"]["backgroundTasks"]["listTasks"]

    assert len(page["data"]) == 50
    assert page["meta"] == {"totalCount": 4000, "hasMoreItems": True}
    assert all("reviews" in path for _, path, _ in gateway.api.seen)


async def test_a_page_has_a_limit(start: Start) -> None:
    gateway = await start(limits=Limits(max_page=7))
    gateway.cache.runs.replace([run(f"r{number}", phase="Running", iterations=5) for number in range(20)], "1")

    for limit, length in ((10_000, 7), (3, 3), (0, 7), (-1, 7), (None, 7)):
        answer = await gateway.ask(LIST, limit=limit)
        found = answer["data"]["backgroundTasks"]["listTasks"]["data"]
        assert len(found) == min(length, listing.DEFAULT_LIMIT) if limit else True


async def test_a_namespace_that_is_not_served_is_refused_instead_of_looking_empty(start: Start) -> None:
    gateway = await start(options=ServerOptions("shop", served=frozenset({"shop", "blog"})))
    document = {"query": "{ backgroundTasks { listTasks { data { id } } } }"}

    served = await gateway.post(document, X_Podrelay_Namespace="blog")
    other = await gateway.post(document, X_Podrelay_Namespace="attic")
    without_token = await gateway.post(document, token=None, X_Podrelay_Namespace="attic")

    assert served.status == 200
    assert (other.status, without_token.status) == (400, 401)
    assert "does not serve the namespace attic, but blog, shop" in (await other.json())["errors"][0]["message"]
    assert "blog" not in await without_token.text()


async def test_payloads_are_read_once_each_and_only_if_queried(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", phase="Succeeded"))
    path = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns/words"
    gateway.api.objects[path] = {"spec": {"input": {"a": 1}}, "status": {"output": {"b": None}}}

    without = await gateway.ask('{ backgroundTasks { getTask(id: "words") { data { id message } } } }')
    assert gateway.api.asked("/taskruns/") == 0
    found = await gateway.ask('{ backgroundTasks { getTask(id: "words") { data { input output } } } }')

    assert without["data"]["backgroundTasks"]["getTask"]["data"]["id"] == "words"
    assert found["data"]["backgroundTasks"]["getTask"]["data"] == {"input": {"a": 1}, "output": {"b": None}}
    assert [seen for seen in gateway.api.seen if "/taskruns/" in seen[1]] == [("GET", path, "alice")]


async def test_a_large_output_comes_from_its_record(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", phase="Succeeded"))
    root = "/apis/podrelay.dev/v1alpha1/namespaces/shop"
    gateway.api.objects[f"{root}/taskruns/words"] = {"status": {"phase": "Succeeded", "outputFrom": "words-i1"}}
    gateway.api.objects[f"{root}/taskiterations/words-i1"] = {"response": {"output": {"rows": 7}}}

    found = await gateway.ask('{ backgroundTasks { getTask(id: "words") { data { output } } } }')
    assert found["data"]["backgroundTasks"]["getTask"]["data"]["output"] == {"rows": 7}


OUTPUTS = "{ backgroundTasks { listTasks(limit: 600) { data { output } } } }"


async def with_outputs_elsewhere(start: Start) -> Gateway:
    """Start a gateway with 600 runs whose outputs take two requests each."""
    gateway: Gateway = await start(limits=Limits(max_page=600))
    gateway.cache.runs.replace([run(f"r{number}", phase="Succeeded") for number in range(600)], "1")
    root = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"
    for number in range(600):
        status = {"phase": "Succeeded", "outputFrom": f"r{number}-i1"}
        gateway.api.objects[f"{root}/r{number}"] = {"status": status}
    return gateway


async def test_an_operation_with_too_many_requests_is_refused(start: Start) -> None:
    gateway = await with_outputs_elsewhere(start)

    answer = await gateway.ask(OUTPUTS)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BackgroundTasks/LimitExceeded"}
    assert gateway.api.asked("/taskruns/") + gateway.api.asked("/taskiterations/") <= MAX_FETCHES


async def test_children_of_children_count_in_the_budget(gateway: Gateway) -> None:
    gateway.cache.runs.replace(
        [run("root"), *(run(f"c{number}", spec={"parent": "root" if number < 40 else "c0"}) for number in range(1500))],
        "1",
    )
    deep = '{ backgroundTasks { getTask(id: "root") { data { %s } } } }'
    inner = "children(limit: 100) { data { id %s } }"
    document = deep % (inner % (inner % ("parent { " + inner % "id" + " }")))

    answer = await gateway.ask(document)
    assert "BackgroundTasks/LimitExceeded" in {error["extensions"]["code"] for error in answer["errors"]}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{ backgroundTasks { getTask(id: 1) { data { parent { id } } } } }", None),
        (
            "{ backgroundTasks { getTask(id: 1) { data { " + "parent { " * 20 + "id" + "}" * 20 + "}}}}",
            "levels of nested fields",
        ),
        ("{ " + " ".join(f"a{number}: __typename" for number in range(50)) + " }", "aliases"),
        ("{ " + "a " * 5000 + " }", "tokens"),
        ("{ nonsense }", "Cannot query field"),
        ("{", "Syntax Error"),
    ],
    ids=["fine", "deep", "aliases", "long", "unknown", "syntax"],
)
async def test_documents_have_limits(gateway: Gateway, document: str, words: str | None) -> None:
    answer = await gateway.ask(document)

    if words is None:
        assert "errors" not in answer
    else:
        assert words in answer["errors"][0]["message"]
        assert gateway.api.asked("accessreviews") == 0


async def test_introspection_can_be_switched_off(start: Start) -> None:
    document = "{ __schema { types { name } } }"
    on, off = await start(), await start(documents=DocumentLimits(introspection=False))

    assert "errors" not in await on.ask(document)
    assert "errors" in await off.ask(document)
    assert "Did you mean" not in json.dumps(await off.ask("{ backgroundTask { __typename } }"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b"{}",
        b'{"query": 1}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "x"}',
        b'{"query": "{ __typename }", "operationName": 3}',
        b'{"query": "{ __typename }", "operationName": "x"}',
        b'[{"query": "{ __typename }"}]',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"query": "subscription { taskUpdated { id } }"}',
        b'{"query": "query A { __typename } query B { __typename }"}',
    ],
)
async def test_nonsense_is_a_client_error(gateway: Gateway, body: bytes) -> None:
    response = await gateway.post(body)

    assert response.status in {200, 400, 413}, await response.text()
    assert "Internal" not in await response.text()


HUGE = 10**309
TRIGGER = """mutation($delay: Number, $startAt: DateTime) { backgroundTasks {
    triggerTask(definition: "countWords", delay: $delay, startAt: $startAt) { data { id } error { code } } } }"""

LITERAL = 'mutation { backgroundTasks { triggerTask(definition: "countWords", delay: %s) { data { id } } } }'


@pytest.mark.parametrize(
    ("document", "variables", "words"),
    [
        (TRIGGER, {"delay": HUGE}, "Number cannot represent an integer of 1027 bits"),
        (TRIGGER, {"delay": -HUGE}, "Number cannot represent an integer of 1027 bits"),
        (LITERAL % HUGE, {}, "Number cannot represent an integer of 1027 bits"),
        (LITERAL % ("9" * 5000), {}, "Number cannot represent"),
        (TRIGGER, {"startAt": "0001-01-01T00:00:00+14:00"}, "before the year 1 or after 9999"),
        (TRIGGER, {"startAt": "9999-12-31T23:59:59-14:00"}, "before the year 1 or after 9999"),
        (TRIGGER, {"startAt": "10000-01-01T00:00:00Z"}, "DateTime cannot represent"),
        ("{ ...Nope }", {}, "Unknown fragment 'Nope'"),
        ("query A { __typename } query B { __typename }", {}, "set operationName to the one to execute (A, B)"),
    ],
    ids=["310", "minus", "literal", "digits", "year1", "year9999", "year10000", "fragment", "operations"],
)
async def test_mistakes_of_callers_are_reported_as_such(
    gateway: Gateway, document: str, variables: dict[str, Any], words: str
) -> None:
    gateway.cache.definitions.apply(definition())
    answer = await gateway.ask(document, **variables)

    assert words in answer["errors"][0]["message"]
    assert answer["data"] is None
    assert not [seen for seen in gateway.api.seen if "taskruns" in seen[1]]


async def test_the_first_and_the_last_time_are_accepted(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())
    for moment in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        found = (await gateway.ask(TRIGGER, startAt=moment))["data"]["backgroundTasks"]["triggerTask"]
        assert found["error"] is None


async def test_a_start_needs_a_time_zone_and_a_filter_does_not(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())
    refused = (await gateway.ask(TRIGGER, startAt="2026-12-31T18:00:00"))["data"]["backgroundTasks"]["triggerTask"]
    where = '{createdOn_lte: "9999-12-31T23:59:59"}'
    tasks = f"listTasks(where: {where}) {{ data {{ id }} error {{ code }} }}"
    listed = await gateway.ask(f"{{ backgroundTasks {{ {tasks} }} }}")

    assert refused["error"]["code"] == "BackgroundTasks/ValidationError"
    assert listed["data"]["backgroundTasks"]["listTasks"] == {"data": [], "error": None}


async def test_an_operation_is_chosen_by_its_name(gateway: Gateway) -> None:
    document = "query A { a: __typename } query B { b: __typename }"
    known = await gateway.post({"query": document, "operationName": "B"})
    unknown = await gateway.post({"query": document, "operationName": "C"})

    assert (await known.json())["data"] == {"b": "Query"}
    assert "no operation 'C'" in (await unknown.json())["errors"][0]["message"]


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"no gzip", 400),
        ("deflate", b"no deflate", 400),
        ("gzip", gzip.compress(b'{"query": "{ __typename }"}'), 200),
        ("gzip", gzip.compress(b'{"query": "' + b" " * 20_000_000), 413),
    ],
    ids=["gzip", "deflate", "fine", "bomb"],
)
async def test_a_body_must_match_its_encoding(
    gateway: Gateway, encoding: str, body: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    response = await gateway.post(body, Content_Encoding=encoding)

    assert response.status == status, await response.text()
    assert "Internal" not in await response.text()
    assert "internal error" not in caplog.text


async def test_a_body_beyond_a_mebibyte_is_refused(gateway: Gateway) -> None:
    response = await gateway.post({"query": "{ __typename }", "variables": {"x": "y" * 1024 * 1024}})

    assert response.status == 413


async def test_a_body_that_does_not_arrive_is_refused_after_a_time(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podrelay.gateway.http.connections.BODY_SECONDS", 0.05)
    never = asyncio.Event()

    async def half() -> AsyncIterator[bytes]:
        yield b'{"query"'
        await never.wait()

    headers = {"Content-Type": "application/json", "Authorization": "Bearer alice"}
    response = await gateway.client.post("/graphql", data=half(), headers=headers)
    never.set()

    assert response.status == 408
    assert "did not arrive within" in await response.text()


async def test_an_internal_error_is_reported_by_an_id_that_is_in_the_log(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the secret is swordfish")

    monkeypatch.setattr(listing, "tasks", fail)
    with caplog.at_level(logging.ERROR):
        answer = await gateway.ask(LIST)
    error = answer["data"]["backgroundTasks"]["listTasks"]["error"]

    assert error["code"] == "BackgroundTasks/InternalError"
    assert "swordfish" not in json.dumps(answer)
    ident = error["message"].split()[2].rstrip(".")
    assert ident in caplog.text
    assert "the secret is swordfish" in caplog.text


async def hang(*_: Any) -> None:
    await asyncio.Event().wait()


async def test_a_query_ends_in_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await start(limits=Limits(seconds=0.05))

    monkeypatch.setattr(listing, "logs", hang)
    answer = await gateway.ask("{ backgroundTasks { listLogs { data { id } error { code } } } }")

    assert answer["errors"][0]["extensions"]["code"] == "BackgroundTasks/Unavailable"


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:8090", None, 200),
        ("127.0.0.1", "http://localhost:3000", 200),
        ("[::1]:8090", None, 200),
        ("evil.example", None, 403),
        ("localhost", "https://evil.example", 403),
        ("localhost", "null", 403),
        ("[", None, 403),
    ],
)
async def test_without_tokens_only_this_machine_is_answered(
    start: Start, host: str, origin: str | None, status: int
) -> None:
    gateway = await start(options=ServerOptions("shop", loopback_only=True), token_of_its_own=True)
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    response = await gateway.post({"query": "{ __typename }"}, None, **headers)

    assert response.status == status


async def test_staleness_is_reported_in_addition_to_the_data(gateway: Gateway) -> None:
    gateway.watch.broken_since = asyncio.get_running_loop().time() - 12
    response = await gateway.post({"query": "{ __typename }"})

    assert response.headers["X-Podrelay-Stale"] == "12"
    assert (await response.json())["extensions"]["stale"]["seconds"] == pytest.approx(12, abs=0.5)


@pytest.mark.parametrize(
    "ident", ["../../secrets/x", "a/b", "A", "a" * 300, "", "a b", "%2e%2e", "words?watch=true", "a\n"]
)
async def test_an_id_never_leads_to_another_url(gateway: Gateway, ident: str) -> None:
    document = """mutation($id: ID!) { backgroundTasks {
        abortTask(id: $id) { error { code } } deleteTask(id: $id) { error { code } }
        rerunTask(id: $id) { error { code } } suspendTask(id: $id) { error { code } }
        triggerTask(definition: $id, parent: $id) { error { code } } } }"""
    answer = await gateway.ask(document.replace("definition: $id", 'definition: "countWords"'), id=ident)

    codes = {field["error"]["code"] for field in answer["data"]["backgroundTasks"].values()}
    assert codes <= {"BackgroundTasks/Task/NotFoundError", "TASK_DEFINITION_ERROR"}
    for method, path, _ in gateway.api.seen:
        assert method == "POST" or path.endswith("/taskdefinitions/count-words"), path


# --- random documents -------------------------------------------------------------------------------------------------


SCHEMA = build().as_str()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(document=random_queries(SCHEMA))
def test_random_queries_never_meet_a_bug(document: str) -> None:
    """Each document has its own gateway, because hypothesis cannot use the event loop of a fixture."""
    asyncio.run(_answers(document))


async def _answers(document: str) -> None:
    import contextlib

    from tests.unit.gateway import conftest

    async with contextlib.asynccontextmanager(conftest.start.__wrapped__)() as start:  # type: ignore[attr-defined]
        gateway = await start(documents=DocumentLimits(depth=100, aliases=1000, tokens=100_000))
        gateway.cache.definitions.apply(definition())
        gateway.cache.runs.apply(run("words", phase="Running", pod="words-i1"))
        gateway.cache.records.apply(record())
        response = await gateway.post({"query": document})
        text = await response.text()
        assert response.status == 200, text
        assert "Internal" not in text, text


# --- WebSockets -------------------------------------------------------------------------------------------------------


INIT = {"type": "connection_init", "payload": {"Authorization": "Bearer alice"}}


@pytest.mark.parametrize(
    "messages",
    [
        ["{"],
        ["1"],
        ["[]"],
        ['{"type": 1}'],
        ['{"type": "connection_init", "payload": 1}'],
        ['{"type": "connection_init", "payload": {"Authorization": 1}}'],
        ['{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}'],
        [json.dumps(INIT), '{"type": "subscribe", "id": "1", "payload": "x"}'],
        [json.dumps(INIT), '{"type": "subscribe", "id": "1", "payload": {"query": 1}}'],
        [json.dumps(INIT), '{"type": "subscribe", "id": [], "payload": {"query": "{ __typename }"}}'],
        [json.dumps(INIT), '{"type": "complete"}'],
    ],
)
async def test_an_invalid_message_closes_the_websocket_with_a_code_of_the_protocol(
    gateway: Gateway, messages: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        for message in messages:
            await socket.send_str(message)
        async with asyncio.timeout(5):
            async for _ in socket:
                pass
    assert socket.close_code is not None
    assert 4400 <= socket.close_code < 4500
    assert "internal error" not in caplog.text


async def over_websocket(gateway: Gateway, document: str) -> Any:
    """Return the answer to a document that is sent over a WebSocket."""
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json(INIT)
        assert (await socket.receive_json(timeout=5))["type"] == "connection_ack"
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": document}})
        return await socket.receive_json(timeout=5)


async def test_a_query_over_a_websocket_ends_in_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = await start(limits=Limits(seconds=0.05))

    monkeypatch.setattr(listing, "logs", hang)
    message = await over_websocket(gateway, "{ backgroundTasks { listLogs { data { id } } } }")

    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "BackgroundTasks/Unavailable"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            "{ backgroundTasks { getTask(id: 1) { data { " + "parent { " * 20 + "id" + "}" * 20 + "}}}}",
            "levels of nested fields",
        ),
        ("{ " + " ".join(f"a{number}: __typename" for number in range(50)) + " }", "aliases"),
        ("{ nonsense }", "Cannot query field"),
    ],
    ids=["deep", "aliases", "unknown"],
)
async def test_documents_have_the_same_limits_over_a_websocket(gateway: Gateway, document: str, words: str) -> None:
    message = await over_websocket(gateway, document)

    assert message["type"] == "error"
    assert words in message["payload"][0]["message"]


async def test_an_operation_has_the_same_budget_over_a_websocket(start: Start) -> None:
    message = await over_websocket(await with_outputs_elsewhere(start), OUTPUTS)
    codes = {error["extensions"]["code"] for error in message["payload"]["errors"]}
    assert codes == {"BackgroundTasks/LimitExceeded"}


@pytest.mark.parametrize("document", ["{ __typename }", "subscription { taskUpdated { id } }"])
async def test_an_expired_token_is_refused_on_an_open_websocket(gateway: Gateway, document: str) -> None:
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json(INIT)
        assert (await socket.receive_json(timeout=5))["type"] == "connection_ack"
        del gateway.api.rights["alice"]
        gateway.clock.time += YES_SECONDS
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": document}})
        message = await socket.receive_json(timeout=5)

    errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    assert [error["extensions"]["code"] for error in errors] == ["BackgroundTasks/NotAuthenticated"]


async def test_a_caller_has_a_limit_of_subscriptions_over_all_connections(start: Start) -> None:
    gateway = await start(limits=Limits(max_subscriptions=1))
    subscribe = {"type": "subscribe", "payload": {"query": "subscription { taskUpdated { id } }"}}
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json(INIT)
        for ident in ("1", "2"):
            await socket.send_json(subscribe | {"id": ident})
        received = [await socket.receive_json(timeout=5) for _ in range(2)]

    assert received[0]["type"] == "connection_ack"
    assert received[1]["id"] == "2"
    assert received[1]["payload"]["errors"][0]["extensions"]["code"] == "BackgroundTasks/LimitExceeded"


async def test_a_slow_reader_gets_the_newest_state_and_does_not_delay_others(gateway: Gateway) -> None:
    document = "subscription { taskUpdated { id skipped task { iterations } } }"
    skipped, before = SKIPPED.labels("tasks")._value.get(), len(gateway.cache.runs._listeners)
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json(INIT)
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": document}})
        assert (await socket.receive_json(timeout=5))["type"] == "connection_ack"
        while len(gateway.cache.runs._listeners) == before:  # noqa: ASYNC110 - the subscription begins on its own
            await asyncio.sleep(0)
        for number in range(1, 5001):
            gateway.cache.runs.apply(run("words", about={"version": str(number)}, iterations=number))
        for number in range(1500):
            gateway.cache.runs.apply(run(f"r{number}"))
        first = (await socket.receive_json(timeout=5))["payload"]["data"]["taskUpdated"]

    # 1,501 tasks have changed, and 1,000 of them can wait, so the oldest 501 were dropped.
    assert first["skipped"] == SKIPPED.labels("tasks")._value.get() - skipped == 501
    assert first["id"] == "r500"
