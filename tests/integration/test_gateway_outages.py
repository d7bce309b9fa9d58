"""The API server is unavailable for a while: reads are answered from the cache and say so, writes ask the caller to
retry, and subscriptions continue automatically."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from dev.harness.gateway import Answer, GatewayProcess, GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_RUNS, record, task_definition, task_run
from dev.harness.waiting import eventually
from tests.support.tunnel import Tunnel

pytestmark = pytest.mark.integration

LIST = "{ backgroundTasks { listTasks { data { id } error { code data } } } }"
TRIGGER = 'mutation { backgroundTasks { triggerTask(definition: "countWords") { data { id } error { code data } } } }'


@pytest.fixture(scope="module")
def tunnel(admin: Kubectl) -> Iterator[Tunnel]:
    with Tunnel(admin.kubeconfig).open() as tunnel:
        yield tunnel


@pytest.fixture
def user(kubectl: Kubectl, tunnel: Tunnel, tmp_path: Any) -> Iterator[GraphQL]:
    assert kubectl.apply(task_definition("count-words"))
    kubectl.do("create", "serviceaccount", "clerk")
    kubectl.do(
        "create", "rolebinding", "clerk", "--clusterrole=podrelay-user", f"--serviceaccount={kubectl.namespace}:clerk"
    )
    token = kubectl.do("create", "token", "clerk").strip()
    flags = (f"--namespace={kubectl.namespace}",)
    with GatewayProcess(tunnel.kubeconfig(tmp_path), tmp_path / "gateway", flags) as gateway:
        yield gateway.as_token(token, kubectl.namespace)
        assert "Traceback" not in gateway.text, gateway.text


def ids(user: GraphQL) -> list[str]:
    return [task["id"] for task in user.ask(LIST).data["listTasks"]["data"] or []]


def stale_for(user: GraphQL, seconds: int) -> Answer:
    """Return the first answer for which the cache has been stale for longer than `seconds`."""

    def ask() -> Answer | None:
        answer = user.ask(LIST)
        return answer if int(answer.headers.get("X-Podrelay-Stale", -1)) > seconds else None

    answer = eventually(f"stale for {seconds} s", ask)
    assert answer is not None
    return answer


def test_reads_continue_and_say_that_they_are_stale_and_writes_ask_for_a_retry(
    kubectl: Kubectl, tunnel: Tunnel, user: GraphQL
) -> None:
    assert kubectl.create(task_run("words"))
    eventually("the run is seen", lambda: ids(user) == ["words"])
    assert "X-Podrelay-Stale" not in user.ask(LIST).headers

    with tunnel.outage():
        stale = stale_for(user, 0)
        later = stale_for(user, 11)  # longer than the cached reviews are valid
        write = user.ask(TRIGGER)

    for answer in (stale, later):
        assert [task["id"] for task in answer.data["listTasks"]["data"]] == ["words"]
        assert answer.body["extensions"]["stale"]["seconds"] > 0
    error = write.data["triggerTask"]["error"]
    assert error["code"] == "BackgroundTasks/Unavailable"
    assert error["data"]["retryable"] is True
    eventually("a write succeeds again", lambda: user.ask(TRIGGER).data["triggerTask"]["data"])
    eventually("all is current again", lambda: "X-Podrelay-Stale" not in user.ask(LIST).headers, 40)
    assert len(ids(user)) == 2


async def test_a_subscription_continues_after_an_outage_with_the_missed_changes(
    kubectl: Kubectl, tunnel: Tunnel, user: GraphQL
) -> None:
    assert kubectl.create(task_run("words"))
    eventually("the run is seen", lambda: ids(user) == ["words"])

    async with user.subscribe('subscription { taskUpdated(id: "words") { type task { suspended } } }') as subscription:
        assert (await subscription.next())["task"] == {"suspended": False}
        with tunnel.outage():
            await asyncio.to_thread(kubectl.patch, TASK_RUNS, "words", {"spec": {"suspend": True}})
        changed = await subscription.until("the change", lambda event: event["task"]["suspended"], 60)
        assert changed["type"] == "UPDATED"
        await asyncio.to_thread(kubectl.do, "delete", TASK_RUNS, "words")
        assert (await subscription.next())["type"] == "DELETED"
        assert (await subscription.receive())["type"] == "complete"


async def test_log_lines_are_sent_as_they_are_written_until_the_run_has_finished(
    kubectl: Kubectl, user: GraphQL
) -> None:
    def lines(first: int, last: int) -> list[dict[str, Any]]:
        return [
            {"time": "2026-11-24T10:00:00Z", "type": "info", "message": f"line {number}"}
            for number in range(first, last)
        ]

    def write(**fields: Any) -> None:
        assert kubectl.patch("taskiterations.podrelay.dev", "words-i1", fields)

    assert kubectl.create(task_run("words"))
    assert kubectl.create(record("words-i1", owner=kubectl.get(TASK_RUNS, "words"), logs=lines(0, 2)))
    eventually("the run is seen", lambda: ids(user) == ["words"])

    document = 'subscription { taskLogs(id: "words") { source message iteration dropped podName } }'
    async with user.subscribe(document) as subscription:
        assert [(await subscription.next())["message"] for _ in range(2)] == ["line 0", "line 1"]
        await asyncio.to_thread(write, logs=lines(1, 4), droppedLogs=1)
        assert [(await subscription.next())["message"] for _ in range(2)] == ["line 2", "line 3"]
        await asyncio.to_thread(write, logs=lines(10, 11), droppedLogs=10)
        gap = await subscription.next()
        assert (gap["source"], gap["dropped"], gap["iteration"]) == ("GAP", 6, 1)
        assert (await subscription.next())["message"] == "line 10"
        assert await asyncio.to_thread(kubectl.set_status, TASK_RUNS, "words", {"phase": "Succeeded"})
        assert (await subscription.receive())["type"] == "complete"
