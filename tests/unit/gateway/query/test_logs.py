"""Lines of logs: how many a default page of tasks shows, what they cost, and how they are searched."""

import asyncio
import dataclasses
from typing import Any

import pytest
from aiohttp import web

from podrelay.gateway.call import FETCHES_AT_ONCE, Budget, Call
from podrelay.gateway.objects import Present
from podrelay.gateway.query import listing
from tests.support.gatewayapi import ApiServer
from tests.unit.gateway.builders import record, run
from tests.unit.gateway.conftest import Gateway, Start

ROOT = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskiterations"
LIST = "{ backgroundTasks { listTasks { data { id logs { id items { _id message } } } error { code } } } }"
SEARCH = """query($where: WebinyBackgroundTaskLogListWhereInput, $sort: [WebinyBackgroundTaskLogListSorter!],
        $limit: Int, $after: String) {
    backgroundTasks { listLogs(where: $where, sort: $sort, limit: $limit, after: $after) {
        data { id } meta { cursor hasMoreItems totalCount } error { code message } } } }"""


def logged(gateway: Gateway, task: str, iteration: int, *messages: str, dropped: int = 0, age: float = 0) -> None:
    """Add a record of an iteration that has logged these messages."""
    lines = [{"time": "2026-11-24T10:00:00Z", "type": "info", "message": message} for message in messages]
    head = record(task, iteration, about={"age": age}, logs=(Present(),) * len(lines))
    gateway.cache.records.apply(head)
    gateway.api.objects[f"{ROOT}/{head.key.name}"] = {"logs": lines, "droppedLogs": dropped}


async def test_a_page_of_fifty_tasks_shows_logs_of_each(gateway: Gateway) -> None:
    for task in range(60):
        gateway.cache.runs.apply(run(f"r{task}"))
        for iteration in range(1, 31):
            logged(gateway, f"r{task}", iteration, "a line")

    answer = await gateway.ask(LIST)
    tasks = answer["data"]["backgroundTasks"]["listTasks"]["data"]

    assert "errors" not in answer
    assert len(tasks) == 50
    assert {len(task["logs"]) for task in tasks} == {19}  # as many as the limit of 1,000 tasks and logs allows
    assert all(log["items"] for task in tasks for log in task["logs"])


async def test_an_explicit_limit_is_not_reduced(gateway: Gateway) -> None:
    for task in range(50):
        gateway.cache.runs.apply(run(f"r{task}"))
        for iteration in range(1, 31):
            gateway.cache.records.apply(record(f"r{task}", iteration))

    answer = await gateway.ask("{ backgroundTasks { listTasks { data { logs(limit: 30) { id } } } } }")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BackgroundTasks/LimitExceeded"}


async def test_logs_without_lines_are_not_read(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    for iteration in range(1, 6):
        gateway.cache.records.apply(record("words", iteration))
    logged(gateway, "words", 6, "a line")

    answer = await gateway.ask(LIST)
    assert [len(log["items"]) for log in answer["data"]["backgroundTasks"]["listTasks"]["data"][0]["logs"]].count(
        0
    ) == 5
    assert gateway.api.asked("/taskiterations/") == 1


async def test_a_line_has_a_stable_id(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    logged(gateway, "words", 1, "third", "fourth", dropped=2)

    (log,) = (await gateway.ask(LIST))["data"]["backgroundTasks"]["listTasks"]["data"][0]["logs"]
    assert log["items"] == [{"_id": "words-i1:3", "message": "third"}, {"_id": "words-i1:4", "message": "fourth"}]


async def test_too_many_lines_leave_the_rest_of_the_page(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    for iteration in range(1, 41):
        logged(gateway, "words", iteration, "x" * 500_000)

    answer = await gateway.ask(LIST)
    logs = answer["data"]["backgroundTasks"]["listTasks"]["data"][0]["logs"]
    assert len(logs) == 40
    assert 0 < len([log for log in logs if log["items"] is None]) < 40
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BackgroundTasks/LimitExceeded"}


async def test_lines_have_a_limit(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "for_operation", lambda self: dataclasses.replace(self, budget=Budget(lines=10)))
    gateway.cache.runs.apply(run("words"))
    logged(gateway, "words", 1, *["short"] * 9)
    logged(gateway, "words", 2, *["short"] * 9)

    answer = await gateway.ask(LIST)
    logs = answer["data"]["backgroundTasks"]["listTasks"]["data"][0]["logs"]
    assert sorted(len(log["items"] or ()) for log in logs) == [0, 9]
    assert "50000 lines" in answer["errors"][0]["message"]


async def test_one_operation_leaves_requests_to_others(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    now = most = 0
    limit_is_reached = asyncio.Event()
    handle = ApiServer.handle

    async def counting(self: ApiServer, request: web.Request) -> web.Response:
        nonlocal now, most
        if "/taskiterations/" not in request.path:
            return await handle(self, request)
        now += 1
        most = max(most, now)
        if now >= FETCHES_AT_ONCE:
            limit_is_reached.set()
        await limit_is_reached.wait()
        now -= 1
        return await handle(self, request)

    monkeypatch.setattr(ApiServer, "handle", counting)
    gateway: Gateway = await start()
    gateway.cache.runs.apply(run("words"))
    for iteration in range(1, 101):
        logged(gateway, "words", iteration, "a line")

    await gateway.ask(LIST)
    assert gateway.api.asked("/taskiterations/") == 100
    assert most == FETCHES_AT_ONCE


# --- searched ---------------------------------------------------------------------------------------------------------


async def pages(gateway: Gateway, **variables: Any) -> list[dict[str, Any]]:
    """Return all pages of a search."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["meta"]["hasMoreItems"]:
        after = found[-1]["meta"]["cursor"] if found else None
        asked = gateway.api.asked("/taskiterations/")
        answer = await gateway.ask(SEARCH, after=after, **variables)
        found.append(answer["data"]["backgroundTasks"]["listLogs"])
        assert found[-1]["error"] is None
        assert gateway.api.asked("/taskiterations/") - asked <= listing.MAX_SEARCHED + 10
    return found


@pytest.mark.parametrize("sort", [None, ["createdOn_ASC"], ["values_iteration_DESC", "values_task_ASC"]])
async def test_lines_are_searched_in_all_tasks_from_page_to_page(gateway: Gateway, sort: Any) -> None:
    for task in range(30):
        for iteration in range(1, 21):
            message = "failed" if (task + iteration) % 37 == 0 else "fine"
            logged(gateway, f"r{task}", iteration, "begun", message, age=task * 20 + iteration)
    where = {"items": {"message_contains": "FAILED"}}
    expected = {f"r{task}-i{number}" for task in range(30) for number in range(1, 21) if (task + number) % 37 == 0}

    found = await pages(gateway, where=where, sort=sort)
    ids = [log["id"] for page in found for log in page["data"]]

    assert len(ids) == len(set(ids))
    assert set(ids) == expected
    assert 1 < len(found) <= 3


async def test_a_page_of_found_logs_has_the_requested_length(gateway: Gateway) -> None:
    for iteration in range(1, 8):
        logged(gateway, "words", iteration, "failed", age=100 - iteration)
        gateway.cache.records.apply(record("silent", iteration))

    found = await pages(gateway, where={"items": {"type": "info"}}, limit=3, sort=["createdOn_ASC"])
    assert [[log["id"] for log in page["data"]] for page in found] == [
        ["words-i1", "words-i2", "words-i3"],
        ["words-i4", "words-i5", "words-i6"],
        ["words-i7"],
    ]
    assert [page["meta"]["totalCount"] for page in found] == [3, 3, 1]


async def test_large_logs_make_the_page_shorter_without_an_error(gateway: Gateway) -> None:
    for iteration in range(1, 41):
        logged(gateway, "words", iteration, "x" * 500_000, age=iteration)

    found = await pages(gateway, where={"items": {"type": "info"}})
    assert sum(len(page["data"]) for page in found) == 40
    assert len(found) > 1
