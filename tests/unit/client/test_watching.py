"""Watches: resumed where they broke, restarted with a list if too much was missed, ended when they are closed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from podrelay import TaskService
from podrelay.client import TaskNotFoundError
from tests.support.scriptedapi import Reply, Request, ScriptedApi, failure


def run(version: int, name: str = "a-run", uid: str = "u1", **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": uid, "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {
        "metadata": metadata | {"resourceVersion": str(version)},
        "spec": {"definition": "import-products"},
        "status": status,
    }


def event(kind: str, resource: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": resource}


def bookmark(version: int) -> dict[str, Any]:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


EXPIRED = event("ERROR", {"code": 410, "message": "too old"})


@contextmanager
def script(
    folder: Path, lists: list[list[dict[str, Any]]], watches: list[Reply]
) -> Iterator[tuple[TaskService, ScriptedApi]]:
    """Answer lists and watches in this order; the last answer of each kind is repeated."""
    counts = {"lists": 0, "watches": 0}

    def answer(request: Request, _: int) -> Reply:
        if "watch" in request.query:
            counts["watches"] += 1
            return watches[min(counts["watches"], len(watches)) - 1]
        counts["lists"] += 1
        items = lists[min(counts["lists"], len(lists)) - 1]
        return Reply(200, {"metadata": {"resourceVersion": str(100 * counts["lists"])}, "items": items})

    api = ScriptedApi(answer)
    with api.serving(folder) as kubeconfig, TaskService(kubeconfig=kubeconfig) as service:
        yield service, api


def versions(api: ScriptedApi) -> list[str]:
    return [request.query["resourceVersion"] for request in api.requests if "watch" in request.query]


def test_a_watch_that_breaks_is_resumed_where_it_broke(tmp_path: Path) -> None:
    watches = [
        Reply(200, [event("MODIFIED", run(101, phase="Running", iterations=1)), bookmark(150)]),
        failure(503),
        Reply(200, [event("MODIFIED", run(151, phase="Succeeded", iterations=1))]),
    ]
    with script(tmp_path, [[run(1)]], watches) as (service, api):
        states = list(service.watch("a-run", timeout=20))

    assert [state.phase for state in states] == ["Pending", "Running", "Succeeded"]
    assert versions(api) == ["100", "150", "150"]


@pytest.mark.parametrize("expired", [Reply(200, [EXPIRED]), failure(410, "too old")], ids=["event", "answer"])
def test_a_version_that_is_too_old_leads_to_a_new_list(tmp_path: Path, expired: Reply) -> None:
    with script(tmp_path, [[run(1)], [run(120, phase="Failed")]], [expired]) as (service, api):
        states = list(service.watch("a-run", timeout=20))

    assert [state.phase for state in states] == ["Pending", "Failed"]
    assert versions(api) == ["100"]


def test_an_event_without_a_change_yields_no_state(tmp_path: Path) -> None:
    same = event("MODIFIED", run(102, phase="Running"))
    end = event("MODIFIED", run(103, phase="Aborted"))
    with script(tmp_path, [[run(1, phase="Running")]], [Reply(200, [same, same, end])]) as (service, _):
        assert [state.phase for state in service.watch("a-run", timeout=20)] == ["Running", "Aborted"]


@pytest.mark.parametrize(
    "second",
    [[], [run(120, uid="u2")]],
    ids=["gone", "another of the same name"],
)
def test_a_run_that_disappeared_between_two_lists_was_deleted(tmp_path: Path, second: list[dict[str, Any]]) -> None:
    with (
        script(tmp_path, [[run(1)], second], [Reply(200, [EXPIRED])]) as (service, _),
        pytest.raises(TaskNotFoundError, match="was deleted"),
    ):
        list(service.watch("a-run", timeout=20))


def test_events_after_a_gap_show_what_happened_in_it(tmp_path: Path) -> None:
    before = [run(1, "stays", "u1", phase="Running"), run(2, "ends", "u2", phase="Running"), run(3, "goes", "u3")]
    after = [
        run(1, "stays", "u1", phase="Running"),
        run(120, "ends", "u2", phase="Failed"),
        run(121, "comes", "u4"),
        run(122, "comes-and-ends", "u5", phase="Succeeded"),
    ]
    watches = [Reply(200, [EXPIRED]), Reply(200, [], stays=True)]
    with script(tmp_path, [before, after], watches) as (service, _), service.events(timeout=20) as events:
        received = [next(events) for _ in range(5)]

    assert [(item.type, item.run.id) for item in received] == [
        ("deleted", "goes"),
        ("finished", "ends"),
        ("created", "comes"),
        ("created", "comes-and-ends"),
        ("finished", "comes-and-ends"),
    ]


def test_closing_interrupts_a_read_in_another_thread(tmp_path: Path) -> None:
    with script(tmp_path, [[run(1)]], [Reply(200, [], stays=True)]) as (service, _):
        states = service.watch("a-run")
        next(states)
        rest: list[object] = []
        reader = threading.Thread(target=lambda: rest.extend(states))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()

        states.close()
        reader.join(5)

        assert not reader.is_alive()
        assert rest == []


def test_closing_interrupts_the_pause_between_two_requests(tmp_path: Path) -> None:
    throttled = failure(429, headers={"Retry-After": "30"})
    with script(tmp_path, [[run(1)]], [throttled]) as (service, _):
        states = service.watch("a-run")
        next(states)
        reader = threading.Thread(target=lambda: list(states))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()

        states.close()
        reader.join(5)

        assert not reader.is_alive()


def test_closing_before_the_first_list_has_arrived_ends_without_an_error(tmp_path: Path) -> None:
    api = ScriptedApi(lambda *_: failure(429, headers={"Retry-After": "30"}))
    with api.serving(tmp_path) as kubeconfig, TaskService(kubeconfig=kubeconfig) as service:
        states = service.watch("a-run")
        seen: list[object] = ["nothing yet"]
        reader = threading.Thread(target=lambda: seen.__setitem__(slice(None), list(states)))
        reader.start()
        reader.join(0.3)
        assert reader.is_alive()

        states.close()
        reader.join(5)

    assert seen == []
