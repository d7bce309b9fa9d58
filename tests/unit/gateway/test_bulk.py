"""Mutations of many tasks: how they are selected, and that each has its own outcome."""

import asyncio
import dataclasses
from typing import Any

import pytest

from podrelay.gateway.call import Budget, Call, Limits
from tests.unit.gateway.builders import definition, metadata, run
from tests.unit.gateway.conftest import Gateway, Start

ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop"
NOT_AUTHORIZED = "BackgroundTasks/NotAuthorized"
INVALID = "BackgroundTasks/ValidationError"


def stored(gateway: Gateway, name: str, age: float = 0, **spec: Any) -> None:
    """Add a run to the cache and to the API server."""
    gateway.cache.runs.apply(run(name, about={"age": age}, spec=spec or None))
    about = metadata(name)
    gateway.api.objects[f"{ROOT}/taskruns/{name}"] = {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": about.uid,
            "resourceVersion": "1",
            "creationTimestamp": about.creation_timestamp.isoformat(),
        },
        "spec": {"definition": "count-words"} | spec,
    }


async def mutate(gateway: Gateway, field: str, arguments: str, token: str = "alice") -> Any:
    """Return the answer of one mutation."""
    shown = (
        "data { id ok data { id suspended rerunOf } error { code message } } succeeded failed error { code message }"
    )
    document = f"mutation {{ backgroundTasks {{ {field}({arguments}) {{ {shown} meta {{ cursor totalCount }} }} }} }}"
    answer = await gateway.ask(document, token)
    assert "errors" not in answer, answer
    return answer["data"]["backgroundTasks"][field]


async def test_each_named_task_has_its_own_outcome(gateway: Gateway) -> None:
    for name in ("a", "b"):
        stored(gateway, name)
    found = await mutate(gateway, "suspendTasks", 'ids: ["a", "missing", "b", "a", "No/Pe"]')

    assert [(one["id"], one["ok"], one["error"] and one["error"]["code"]) for one in found["data"]] == [
        ("a", True, None),
        ("missing", False, "BackgroundTasks/Task/NotFoundError"),
        ("b", True, None),
        ("No/Pe", False, "BackgroundTasks/Task/NotFoundError"),
    ]
    assert (found["succeeded"], found["failed"], found["meta"]) == (2, 2, None)
    assert {one["data"]["suspended"] for one in found["data"] if one["ok"]} == {True}
    assert gateway.api.objects[f"{ROOT}/taskruns/a"]["spec"]["suspend"] is True

    await mutate(gateway, "suspendTasks", 'ids: ["a"], suspend: false')
    assert gateway.api.objects[f"{ROOT}/taskruns/a"]["spec"]["suspend"] is False


async def test_a_filter_selects_a_page_and_its_cursor_the_next_one(gateway: Gateway) -> None:
    for number in range(7):
        stored(gateway, f"r{number}", age=number)
    stored(gateway, "other", age=99, display_name="x")
    seen: list[str] = []
    after = ""
    while True:
        found = await mutate(gateway, "deleteTasks", f'where: {{id_not: "other"}}, limit: 3 {after}')
        assert found["error"] is None
        seen += [one["id"] for one in found["data"] if one["ok"]]
        if found["meta"]["cursor"] is None:
            break
        after = f', after: "{found["meta"]["cursor"]}"'

    assert seen == [f"r{number}" for number in range(7)]
    assert [path for path in gateway.api.objects if "taskruns" in path] == [f"{ROOT}/taskruns/other"]


async def test_tasks_are_aborted_and_started_again(gateway: Gateway) -> None:
    gateway.cache.definitions.apply(definition())
    stored(gateway, "a")
    aborted = await mutate(gateway, "abortTasks", 'ids: ["a"], message: "wrong file", cascade: true')
    assert aborted["succeeded"] == 1
    assert gateway.api.objects[f"{ROOT}/taskruns/a"]["spec"]["abort"] == {
        "message": "wrong file",
        "cascade": True,
        "by": "alice",
    }

    again = (await mutate(gateway, "rerunTasks", 'ids: ["a", "b"]'))["data"]
    assert [one["ok"] for one in again] == [True, False]
    assert again[0]["data"]["rerunOf"] == "a"
    assert again[0]["data"]["id"] != "a"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "where: {} selects all"),
        ('search: " "', "where: {} selects all"),
        ('ids: ["a"], where: {}', "where: {} selects all"),
        ("ids: [" + '"a" ' * 101 + "]", "more than 100 ids"),
        ('where: {}, after: "nonsense"', "not a cursor"),
    ],
)
async def test_a_selection_must_be_clear(gateway: Gateway, arguments: str, words: str) -> None:
    found = await mutate(gateway, "abortTasks", f"message: null {arguments}")

    assert (found["data"], found["error"]["code"]) == (None, INVALID)
    assert words in found["error"]["message"]


async def test_an_empty_filter_selects_all_tasks(gateway: Gateway) -> None:
    for number in range(3):
        stored(gateway, f"r{number}")

    assert (await mutate(gateway, "suspendTasks", "where: {}"))["succeeded"] == 3


async def test_without_the_right_nothing_is_written_and_no_task_is_revealed(gateway: Gateway) -> None:
    gateway.api.rights["carol"] = {"list taskruns"}
    stored(gateway, "a")
    by_id = await mutate(gateway, "abortTasks", 'ids: ["a", "missing"]', "carol")
    by_filter = await mutate(gateway, "abortTasks", "where: {}", "bob")

    assert {one["error"]["code"] for one in by_id["data"]} == {NOT_AUTHORIZED}
    assert (by_filter["data"], by_filter["error"]["code"]) == (None, NOT_AUTHORIZED)
    assert not [method for method, path, _ in gateway.api.seen if method != "POST" and "taskruns" in path]


async def test_what_does_not_begin_in_time_says_so(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway: Gateway = await start(limits=Limits(seconds=0.2))
    for number in range(10):
        stored(gateway, f"r{number}")
    gateway.api.let_writes.clear()
    found = await mutate(gateway, "suspendTasks", "where: {}")
    gateway.api.let_writes.set()

    messages = [one["error"]["message"] for one in found["data"]]
    assert len(messages) == 10
    assert sum("may still happen" in message for message in messages) == 8  # as many as are in progress at once
    assert sum("was not started" in message for message in messages) == 2


async def test_only_a_few_writes_are_in_progress_at_once(gateway: Gateway) -> None:
    for number in range(30):
        stored(gateway, f"r{number}")
    gateway.api.let_writes.clear()
    mutating = asyncio.ensure_future(mutate(gateway, "suspendTasks", "where: {}"))
    await gateway.api.has_write.wait()
    gateway.api.let_writes.set()

    assert (await mutating)["succeeded"] == 30
    assert gateway.api.most_writing <= 8


async def test_outcomes_count_as_tasks_of_the_operation(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "for_operation", lambda self: dataclasses.replace(self, budget=Budget(rows=2)))
    for number in range(3):
        stored(gateway, f"r{number}")
    found = await mutate(gateway, "suspendTasks", "where: {}")

    assert found["error"]["code"] == "BackgroundTasks/LimitExceeded"
    assert gateway.api.asked("/taskruns/") == 0


async def test_a_page_has_at_most_a_hundred_tasks(start: Start) -> None:
    gateway: Gateway = await start(limits=Limits(max_page=500))
    for number in range(120):
        stored(gateway, f"r{number}")
    found = await mutate(gateway, "suspendTasks", "where: {}, limit: 500")

    assert (len(found["data"]), found["meta"]["totalCount"]) == (100, 120)
