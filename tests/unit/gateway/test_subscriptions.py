"""Subscriptions: rows that leave a filter, notices, and the lines of a run with their cursors."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from podrelay.gateway.objects import Present, Response
from podrelay.gateway.query import following, log_lines
from podrelay.gateway.schema import executing
from tests.unit.gateway.builders import record, run
from tests.unit.gateway.conftest import Gateway

ITERATIONS = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskiterations"
PODS = "/api/v1/namespaces/shop/pods"
INIT = {"type": "connection_init", "payload": {"Authorization": "Bearer alice"}}


class Subscribed:
    """One subscription over a WebSocket."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    async def next(self) -> Any:
        """Return the next event."""
        message = await self._socket.receive_json(timeout=10)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        (event,) = message["payload"]["data"].values()
        return event

    async def rest(self) -> list[Any]:
        """Return all events until the subscription completes."""
        events: list[Any] = []
        while True:
            message = await self._socket.receive_json(timeout=10)
            if message["type"] == "complete":
                return events
            assert message["type"] == "next", message
            events += message["payload"]["data"].values()

    async def error(self) -> Any:
        """Return the error with which it ends."""
        message = await self._socket.receive_json(timeout=10)
        payload = message["payload"]
        return (payload if isinstance(payload, list) else payload["errors"])[0]["extensions"]["code"]


@contextlib.asynccontextmanager
async def subscribe(gateway: Gateway, document: str, **variables: Any) -> AsyncIterator[Subscribed]:
    async with gateway.client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as socket:
        await socket.send_json(INIT)
        assert (await socket.receive_json(timeout=10))["type"] == "connection_ack"
        payload = {"query": document, "variables": variables}
        await socket.send_json({"type": "subscribe", "id": "1", "payload": payload})
        yield Subscribed(socket)


# --- tasks ------------------------------------------------------------------------------------------------------------

UPDATES = """subscription($where: WebinyBackgroundTaskListWhereInput, $search: String) {
    taskUpdated(where: $where, search: $search, announce: true) {
        type id matches task { taskStatus version } skipped } }"""


async def test_the_first_event_says_that_changes_are_sent_from_now_on(gateway: Gateway) -> None:
    async with subscribe(gateway, UPDATES) as subscription:
        first = await subscription.next()
        gateway.cache.runs.apply(run("words"))
        second = await subscription.next()

    assert first == {"type": "READY", "id": "", "matches": False, "task": None, "skipped": 0}
    assert (second["type"], second["id"], second["matches"]) == ("ADDED", "words", True)


async def test_a_task_that_leaves_the_filter_is_announced_once(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words", phase="Running"))
    async with subscribe(gateway, UPDATES, where={"taskStatus": "running"}) as subscription:
        assert (await subscription.next())["type"] == "READY"
        gateway.cache.runs.apply(run("words", about={"version": "2"}, phase="Succeeded"))
        left = await subscription.next()
        gateway.cache.runs.apply(run("words", about={"version": "3"}, phase="Succeeded", iterations=2))
        gateway.cache.runs.apply(run("other", phase="Running"))
        entered = await subscription.next()
        gateway.cache.runs.remove(run("other"))
        deleted = await subscription.next()

    assert (left["type"], left["id"], left["matches"]) == ("UPDATED", "words", False)
    assert left["task"] == {"taskStatus": "success", "version": "2"}
    assert (entered["type"], entered["id"], entered["matches"]) == ("ADDED", "other", True)
    assert (deleted["type"], deleted["matches"]) == ("DELETED", False)


async def test_each_event_is_an_answer_of_its_own(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their sizes do not add up, so a subscription can last for any time."""
    monkeypatch.setattr(executing, "MAX_ANSWER_BYTES", 3000)
    document = "subscription { taskUpdated(announce: true) { type task { message } } }"
    async with subscribe(gateway, document) as subscription:
        assert (await subscription.next())["type"] == "READY"
        for number in range(8):
            gateway.cache.runs.apply(run("words", about={"version": str(number + 2)}, message=f"{number}" * 1000))
            event = await subscription.next()
            assert event["task"]["message"] == f"{number}" * 1000


async def test_a_subscription_may_search_like_a_list(gateway: Gateway) -> None:
    async with subscribe(gateway, UPDATES, search="import graz") as subscription:
        assert (await subscription.next())["type"] == "READY"
        gateway.cache.runs.apply(run("other", spec={"display_name": "Import for Linz"}))
        gateway.cache.runs.apply(run("words", spec={"display_name": "Import for Graz"}))
        assert (await subscription.next())["id"] == "words"


async def test_a_subscriber_learns_that_no_changes_arrive(gateway: Gateway, monkeypatch: Any) -> None:
    monkeypatch.setattr(following, "CHECK_SECONDS", 0.05)
    async with subscribe(gateway, UPDATES) as subscription:
        types = [(await subscription.next())["type"]]
        gateway.watch.broken_since = asyncio.get_running_loop().time()
        types.append((await subscription.next())["type"])
        gateway.watch.broken_since = None
        types.append((await subscription.next())["type"])

    assert types == ["READY", "STALE", "READY"]


async def test_without_announce_there_are_no_notices(gateway: Gateway) -> None:
    before = len(gateway.cache.runs._listeners)
    async with subscribe(gateway, "subscription { taskUpdated { type id } }") as subscription:
        while len(gateway.cache.runs._listeners) == before:  # noqa: ASYNC110 - the subscription begins on its own
            await asyncio.sleep(0)
        gateway.cache.runs.apply(run("words"))
        assert await subscription.next() == {"type": "ADDED", "id": "words"}


# --- lines ------------------------------------------------------------------------------------------------------------

LINES = """subscription($after: String, $iteration: Int, $attempt: Int, $type: String, $pods: Boolean = true) {
    taskLogs(id: "words", podOutput: $pods, after: $after, iteration: $iteration, attempt: $attempt, type: $type) {
        source type message podName iteration attempt createdOn dropped cursor } }"""


def answered(gateway: Gateway, iteration: int, *lines: tuple[str, str], **stored: Any) -> str:
    """Add a record that has logged these lines, each a type and a message; return the name of its pod."""
    items = [{"time": "2026-11-24T10:00:00Z", "type": kind, "message": message} for kind, message in lines]
    head = record("words", iteration, logs=(Present(),) * len(items), response=Response("continue"))
    gateway.cache.records.apply(head)
    gateway.api.objects[f"{ITERATIONS}/{head.key.name}"] = {"iteration": iteration, "logs": items} | stored
    return head.key.name


def printed(gateway: Gateway, pod: str, *lines: str) -> None:
    """Add a pod that has printed these lines, one a second."""
    stamped = [f"2026-11-24T10:00:{second:02}.123456789Z {line}" for second, line in enumerate(lines)]
    gateway.api.objects[f"{PODS}/{pod}"] = {"metadata": {"name": pod}}
    gateway.api.objects[f"{PODS}/{pod}/log"] = "".join(f"{line}\n" for line in stamped)


def finish(gateway: Gateway, pod: str) -> None:
    gateway.cache.runs.apply(run("words", phase="Succeeded", reason="Done", pod=pod))


async def all_lines(gateway: Gateway, **variables: Any) -> list[Any]:
    async with subscribe(gateway, LINES, **variables) as subscription:
        return await subscription.rest()


def of_source(lines: list[Any], source: str) -> list[Any]:
    return [line["message"] for line in lines if line["source"] == source]


async def test_the_lines_of_all_pods_have_iteration_attempt_and_level(gateway: Gateway) -> None:
    answered(gateway, 1, ("info", "one"), ("error", "two"))
    pod = answered(gateway, 2, ("info", "three"))
    printed(gateway, "words-i1", "a", "b")
    printed(gateway, pod, "c")
    finish(gateway, pod)
    found = await all_lines(gateway)

    assert of_source(found, "LOG") == ["one", "two", "three"]
    assert of_source(found, "POD") == ["a", "b", "c"]
    by_message = {line["message"]: line for line in found}
    assert (by_message["two"]["type"], by_message["two"]["iteration"], by_message["two"]["attempt"]) == ("error", 1, 1)
    assert (by_message["c"]["podName"], by_message["c"]["iteration"]) == ("words-i2", 2)
    assert by_message["b"]["createdOn"] == "2026-11-24T10:00:01.123Z"


async def test_lines_are_selected_by_iteration_attempt_and_type(gateway: Gateway) -> None:
    answered(gateway, 1, ("info", "one"), ("error", "two"))
    pod = answered(gateway, 2, ("error", "three"))
    printed(gateway, pod, "c")
    finish(gateway, pod)

    assert {line["message"] for line in await all_lines(gateway, iteration=2)} == {"three", "c"}
    assert [line["message"] for line in await all_lines(gateway, type="error")] == ["two", "three"]
    assert await all_lines(gateway, attempt=2) == []


async def test_each_line_is_a_place_to_continue_from(gateway: Gateway) -> None:
    answered(gateway, 1, ("info", "one"), ("info", "two"))
    pod = answered(gateway, 2, ("info", "three"))
    printed(gateway, "words-i1", "a", "b", "c")
    printed(gateway, pod, "d", "e")
    finish(gateway, pod)
    everything = await all_lines(gateway)

    for place, line in enumerate(everything):
        rest = await all_lines(gateway, after=line["cursor"])
        assert sorted(one["message"] for one in rest) == sorted(one["message"] for one in everything[place + 1 :])


async def test_what_a_deleted_pod_has_printed_comes_from_its_record(gateway: Gateway) -> None:
    pod = answered(gateway, 1, ("info", "one"), console={"text": "a\nb\n", "droppedBytes": 900})
    finish(gateway, pod)
    found = await all_lines(gateway)

    assert [(line["source"], line["message"]) for line in found] == [
        ("LOG", "one"),
        ("GAP", "900 bytes before this are not kept"),
        ("POD", "a"),
        ("POD", "b"),
    ]
    rest = await all_lines(gateway, after=found[2]["cursor"])
    assert [line["message"] for line in rest] == ["b"]


async def test_a_log_that_was_rotated_during_an_interruption_leaves_a_gap(gateway: Gateway) -> None:
    pod = answered(gateway, 1)
    printed(gateway, pod, "a", "b", "c", "d")
    finish(gateway, pod)
    everything = await all_lines(gateway)
    path = f"{PODS}/{pod}/log"
    gateway.api.objects[path] = gateway.api.objects[path].split("\n", 2)[2]  # the oldest two lines are gone

    after_the_first = await all_lines(gateway, after=everything[0]["cursor"])
    assert [(line["source"], line["message"]) for line in after_the_first[1:]] == [("POD", "c"), ("POD", "d")]
    assert (after_the_first[0]["source"], after_the_first[0]["dropped"]) == ("GAP", 1)
    after_the_third = await all_lines(gateway, after=everything[2]["cursor"])
    assert [line["message"] for line in after_the_third] == ["d"]


async def test_a_pod_that_was_deleted_during_an_interruption_leaves_a_gap(gateway: Gateway) -> None:
    pod = answered(gateway, 1, console={"text": "b\nc\n"})
    printed(gateway, pod, "a", "b")
    finish(gateway, pod)
    found = await all_lines(gateway)
    del gateway.api.objects[f"{PODS}/{pod}"]
    rest = await all_lines(gateway, after=found[0]["cursor"])

    assert [(line["source"], line["dropped"]) for line in rest] == [("GAP", 1), ("POD", 0), ("POD", 0)]
    assert "may repeat lines" in rest[0]["message"]


async def test_output_that_cannot_be_read_or_is_not_kept_is_a_gap(gateway: Gateway) -> None:
    answered(gateway, 1, console={"problem": "the node did not respond"})
    pod = answered(gateway, 2)
    finish(gateway, pod)
    found = await all_lines(gateway)

    assert [(line["source"], line["message"]) for line in found] == [
        ("GAP", "what the pod has printed is not kept: the node did not respond")
    ]


async def test_a_slow_reader_misses_no_line(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_lines, "PENDING_LINES", 10)
    answered(gateway, 1, *[("info", f"logged {number}") for number in range(200)])
    pod = answered(gateway, 2, console={"text": "".join(f"kept {number}\n" for number in range(300))})
    stamped = [f"2026-11-24T10:00:00.{number:06}Z printed {number}\n" for number in range(3000)]
    printed(gateway, "words-i1")
    gateway.api.objects[f"{PODS}/words-i1/log"] = "".join(stamped)
    finish(gateway, pod)
    found = await all_lines(gateway)

    assert of_source(found, "LOG") == [f"logged {number}" for number in range(200)]
    output = [f"printed {number}" for number in range(3000)] + [f"kept {number}" for number in range(300)]
    assert of_source(found, "POD") == output
    assert of_source(found, "GAP") == []


async def test_a_log_that_never_ends_does_not_delay_the_other_pods_forever(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_lines, "_SILENT_SECONDS", 0.1)
    monkeypatch.setattr(log_lines, "_LAST_SECONDS", 0.5)
    answered(gateway, 1)
    pod = answered(gateway, 2)
    printed(gateway, "words-i1", "a")
    printed(gateway, pod, "b")
    finish(gateway, pod)
    hold = gateway.api.holds[f"{PODS}/words-i1/log"] = asyncio.Event()
    found = await all_lines(gateway)
    hold.set()

    assert [(line["source"], line["message"]) for line in found] == [
        ("POD", "b"),
        ("GAP", "the output of a pod does not end"),
    ]


async def test_a_cursor_of_another_task_ends_the_subscription(gateway: Gateway) -> None:
    finish(gateway, "words-i1")
    async with subscribe(gateway, LINES, after="nonsense") as subscription:
        assert await subscription.error() == "BackgroundTasks/ValidationError"
