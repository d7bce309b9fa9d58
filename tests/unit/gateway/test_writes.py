"""Callers read their own writes, at any replica; and each mutation has its own answer, in order."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from podrelay.gateway import read_your_writes
from podrelay.gateway.call import Limits
from podrelay.gateway.errors import ValidationError
from podrelay.gateway.http.server import ServerOptions
from podrelay.gateway.objects import Run
from podrelay.gateway.read_your_writes import READ_AFTER_HEADER, Write
from podrelay.kube.resources import Key
from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway, Start

TRIGGER = """mutation($key: String) { backgroundTasks {
  triggerTask(definition: "countWords", idempotencyKey: $key) { data { id } error { code message } } } }"""
SUSPEND = "mutation($id: ID!) { backgroundTasks { suspendTask(id: $id) { data { id } error { code } } } }"
DELETE = "mutation($id: ID!) { backgroundTasks { deleteTask(id: $id) { data error { code } } } }"
LIST = "{ backgroundTasks { listTasks { data { id suspended } error { code } } } }"
TWO = """mutation { backgroundTasks {
  one: triggerTask(definition: "countWords", idempotencyKey: "1") { data { id } error { code message } }
  two: triggerTask(definition: "countWords", idempotencyKey: "2") { data { id } error { code message } }
  three: triggerTask(definition: "countWords", idempotencyKey: "3") { data { id } error { code message } } } }"""
PATH = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"


@pytest.fixture(autouse=True)
def _known_definition(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())


def tasks(answer: Any) -> Any:
    return answer["data"]["backgroundTasks"]


async def listed(gateway: Gateway, **headers: str) -> Any:
    response = await gateway.post({"query": LIST}, **headers)
    return tasks(await response.json())["listTasks"]["data"]


async def triggered(gateway: Gateway, key: str = "1") -> Any:
    """Trigger a task; return the whole answer."""
    return await gateway.ask(TRIGGER, key=key)


def ident(answer: Any) -> str:
    name: str = tasks(answer)["triggerTask"]["data"]["id"]
    return name


# --- each for itself, in order ---------------------------------------------------------------------------------------


async def test_a_refused_mutation_leaves_the_answers_of_the_others(gateway: Gateway) -> None:
    gateway.api.rights["alice"] -= {"delete taskruns"}
    both = """mutation { backgroundTasks {
      a: triggerTask(definition: "countWords") { data { id } error { code } }
      b: deleteTask(id: "words") { data error { code } } } }"""

    answer = await gateway.ask(both)

    assert "errors" not in answer
    assert tasks(answer)["a"]["data"]["id"]
    assert tasks(answer)["b"] == {"data": None, "error": {"code": "BackgroundTasks/NotAuthorized"}}


async def test_mutations_of_a_document_run_one_after_the_other(gateway: Gateway) -> None:
    gateway.api.let_writes.clear()
    asking = asyncio.create_task(gateway.ask(TWO))
    await gateway.api.has_write.wait()
    for _ in range(3):
        await listed(gateway)  # time in which other writes could arrive
    gateway.api.let_writes.set()

    answer = tasks(await asking)

    assert gateway.api.most_writing == 1
    made = [path.rpartition("/")[2] for path in gateway.api.objects if path.startswith(PATH)]
    assert made == [answer[name]["data"]["id"] for name in ("one", "two", "three")]


async def test_a_write_that_takes_too_long_is_reported_and_not_cancelled(start: Start) -> None:
    gateway = await start(limits=Limits(seconds=0.3))
    gateway.cache.definitions.apply(definition())
    gateway.api.let_writes.clear()

    answer = tasks(await gateway.ask(TWO))
    gateway.api.let_writes.set()

    assert {name: answer[name]["error"]["code"] for name in answer} == dict.fromkeys(
        ("one", "two", "three"), "BackgroundTasks/Unavailable"
    )
    assert "may still happen" in answer["one"]["error"]["message"]
    assert "was not started" in answer["three"]["error"]["message"]
    await gateway.api.has_written.wait()
    assert gateway.api.asked("/taskruns") == 1


# --- read after write ------------------------------------------------------------------------------------------------


async def test_the_list_shows_at_once_that_a_task_was_triggered_changed_and_deleted(gateway: Gateway) -> None:
    name = ident(await triggered(gateway))
    assert await listed(gateway) == [{"id": name, "suspended": False}]

    await gateway.ask(SUSPEND, id=name)
    assert await listed(gateway) == [{"id": name, "suspended": True}]

    await gateway.ask(DELETE, id=name)
    assert await listed(gateway) == []


async def test_late_events_do_not_undo_it(gateway: Gateway) -> None:
    answer = await triggered(gateway)
    name = ident(answer)
    before = msgspec.convert(gateway.api.objects[f"{PATH}/{name}"], Run)
    gateway.cache.runs.apply(before)
    await gateway.ask(SUSPEND, id=name)
    gateway.cache.runs.apply(before)
    assert await listed(gateway) == [{"id": name, "suspended": True}]

    after = msgspec.convert(gateway.api.objects[f"{PATH}/{name}"], Run)
    await gateway.ask(DELETE, id=name)
    gateway.cache.runs.apply(after)
    assert await listed(gateway) == []

    gateway.cache.runs.remove(after)
    gateway.cache.runs.apply(run(name))
    assert [task["id"] for task in await listed(gateway)] == [name]  # it was created again


async def test_a_task_that_a_finalizer_keeps_remains_visible(gateway: Gateway) -> None:
    name = ident(await triggered(gateway))
    stored = gateway.api.objects[f"{PATH}/{name}"]
    held = {"finalizers": ["example.com/hold"], "deletionTimestamp": "2026-11-24T12:00:01Z", "resourceVersion": "900"}
    gateway.api.deletions[f"{PATH}/{name}"] = stored | {"kind": "TaskRun", "metadata": stored["metadata"] | held}

    await gateway.ask(DELETE, id=name)

    assert [task["id"] for task in await listed(gateway)] == [name]


async def test_another_replica_reads_what_it_has_not_seen(gateway: Gateway, start: Start) -> None:
    other = await start(api=gateway.api)
    first, second = await triggered(gateway, "1"), await triggered(gateway, "2")
    assert await listed(other) == []

    after = first["extensions"]["readAfter"]
    assert [task["id"] for task in await listed(other, **{READ_AFTER_HEADER: after})] == [ident(first)]

    gone = (await gateway.ask(DELETE, id=ident(first)))["extensions"]["readAfter"]
    both = ",".join([gone, second["extensions"]["readAfter"]])
    assert [task["id"] for task in await listed(other, **{READ_AFTER_HEADER: both})] == [ident(second)]

    reads = gateway.api.asked("/taskruns")
    await listed(other, **{READ_AFTER_HEADER: both})
    assert gateway.api.asked("/taskruns") == reads  # the replica knows these writes now


async def test_a_replica_that_cannot_catch_up_says_so(gateway: Gateway) -> None:
    other = Write(Key("shop", "words"), "uid-words", 7)
    # from now on it is cached who calls, and that they may read this task
    await gateway.ask('{ backgroundTasks { getTask(id: "words") { data { id } } } }')
    gateway.api.is_down = True

    response = await gateway.post({"query": LIST}, **{READ_AFTER_HEADER: str(other)})

    assert response.status == 503
    assert "has not seen the earlier write yet" in json.dumps(await response.json())


async def test_tasks_of_namespaces_that_are_not_served_are_not_read(start: Start) -> None:
    gateway = await start(ServerOptions("shop", served=frozenset({"shop"})))

    await listed(gateway, **{READ_AFTER_HEADER: str(Write(Key("bank", "words"), "uid", 7))})

    assert gateway.api.asked("/bank/") == 0


async def test_a_task_is_not_read_for_a_caller_who_may_not_read_it(gateway: Gateway) -> None:
    words = str(Write(Key("shop", "words"), "uid", 7))

    response = await gateway.post({"query": "{ __typename }"}, "bob", **{READ_AFTER_HEADER: words})

    assert response.status == 200
    assert gateway.api.asked("/taskruns") == 0


@pytest.mark.parametrize("text", ["nonsense", "shop/words/uid/x", "/words/uid/1", "a/b/c/1," * 20 + "a/b/c/1"])
async def test_an_invalid_read_after_is_refused(gateway: Gateway, text: str) -> None:
    response = await gateway.post({"query": LIST}, **{READ_AFTER_HEADER: text})

    assert response.status == 400
    assert "extensions.readAfter" in json.dumps(await response.json())


def test_read_after_has_the_last_write_of_each_task() -> None:
    words, other = Key("shop", "words"), Key("shop", "other")
    writes = [Write(words, "u", 1), Write(other, "o", 2), Write(words, "u", 3), Write(other, "o", None)]

    assert read_your_writes.token(writes) == "shop/words/u/3,shop/other/o/gone"
    assert read_your_writes.parse(read_your_writes.token(writes)) == writes[2:]
    many = [Write(Key("shop", f"r{number}"), "u", number) for number in range(50)]
    assert read_your_writes.parse(read_your_writes.token(many)) == many[-read_your_writes.MOST :]
    with pytest.raises(ValidationError):
        read_your_writes.parse("shop/words/u")
