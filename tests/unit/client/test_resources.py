"""Requests: which ones are retried, for how long, and which errors the responses of the API server cause."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from podrelay import TaskService
from podrelay.client import (
    ApiUnavailableError,
    ConfigurationError,
    ForbiddenError,
    InvalidInputError,
    RequestRefusedError,
    TaskNotFoundError,
)
from tests.support.scriptedapi import Reply, Request, ScriptedApi, failure

RUN = {
    "metadata": {
        "name": "a-run",
        "namespace": "shop",
        "uid": "u1",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "resourceVersion": "7",
    },
    "spec": {"definition": "import-products", "input": {}},
}


@contextmanager
def serving(
    folder: Path, script: Callable[[Request, int], Reply], retry_seconds: float = 20
) -> Iterator[tuple[TaskService, ScriptedApi]]:
    api = ScriptedApi(script)
    with api.serving(folder) as kubeconfig, TaskService(kubeconfig=kubeconfig, retry_seconds=retry_seconds) as service:
        yield service, api


@pytest.mark.parametrize(
    "trouble",
    [Reply(0), failure(429), failure(500), failure(502), failure(503), failure(504), Reply(503, "no JSON")],
    ids=["dropped", "429", "500", "502", "503", "504", "503 of a proxy"],
)
def test_a_transient_failure_is_retried(tmp_path: Path, trouble: Reply) -> None:
    with serving(tmp_path, lambda _, before: trouble if before < 2 else Reply(200, RUN)) as (service, api):
        assert service.get("a-run").uid == "u1"
        assert len(api.requests) == 3


def test_a_truncated_response_is_requested_again(tmp_path: Path) -> None:
    cut = Reply(200, "{", {})
    with serving(tmp_path, lambda _, before: cut if before < 1 else Reply(200, RUN)) as (service, _):
        assert service.get("a-run").uid == "u1"


def test_retry_after_is_respected(tmp_path: Path) -> None:
    throttled = failure(429, headers={"Retry-After": "1"})
    with serving(tmp_path, lambda _, before: throttled if before < 1 else Reply(200, RUN)) as (service, _):
        began = time.monotonic()
        service.get("a-run")
        assert time.monotonic() - began >= 1


def test_a_retry_after_beyond_the_limit_fails_at_once(tmp_path: Path) -> None:
    throttled = failure(429, "too many", headers={"Retry-After": "60"})
    with serving(tmp_path, lambda *_: throttled) as (service, api):
        with pytest.raises(ApiUnavailableError, match="429: too many") as caught:
            service.get("a-run")
        assert caught.value.retry_after == 60
        assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (failure(401, "Unauthorized"), ForbiddenError, "does not accept these credentials: Unauthorized"),
        (failure(403, "user cannot get"), ForbiddenError, "user cannot get"),
        (failure(404), TaskNotFoundError, "was not found"),
        (failure(405, "not allowed"), RequestRefusedError, "not allowed"),
        (failure(400, "bad"), InvalidInputError, "bad"),
    ],
)
def test_a_permanent_failure_is_raised_at_once(
    tmp_path: Path, reply: Reply, error: type[Exception], words: str
) -> None:
    with serving(tmp_path, lambda *_: reply) as (service, api):
        with pytest.raises(error, match=words):
            service.get("a-run")
        assert len(api.requests) == 1


def test_a_cluster_without_podrelay_is_distinguished_from_a_missing_run(tmp_path: Path) -> None:
    with serving(tmp_path, lambda *_: Reply(404, "404 page not found\n")) as (service, _):
        for act in (lambda: service.get("a-run"), service.list, lambda: service.trigger("importProducts")):
            with pytest.raises(ConfigurationError, match="is Podrelay installed in this cluster"):
                act()


def test_refused_fields_are_named(tmp_path: Path) -> None:
    causes = [{"reason": "FieldValueInvalid", "message": "too long", "field": "spec.displayName"}]
    refused = failure(422, "invalid", details={"causes": causes})
    with (
        serving(tmp_path, lambda request, _: refused if request.method == "PATCH" else Reply(200, RUN)) as (service, _),
        pytest.raises(InvalidInputError) as caught,
    ):
        service.suspend("a-run")

    assert caught.value.data == {
        "invalidFields": {
            "displayName": {"code": "FieldValueInvalid", "message": "too long", "data": {"path": ["displayName"]}}
        }
    }


def trigger_script(first: Reply) -> Callable[[Request, int], Reply]:
    stored: dict[str, Any] = {}

    def script(request: Request, before: int) -> Reply:
        if request.path.endswith("selfsubjectreviews"):
            return failure(403)
        if request.method == "POST":
            if stored:
                return failure(409, "already exists")
            stored.update(request.body, metadata=RUN["metadata"] | request.body["metadata"])
            return first
        if "taskdefinitions" in request.path:
            return Reply(200, {"metadata": {}, "spec": {}})
        return Reply(200, stored)

    return script


@pytest.mark.parametrize("lost", [Reply(0), failure(504)], ids=["dropped", "504"])
def test_a_trigger_whose_response_was_lost_creates_one_run(tmp_path: Path, lost: Reply) -> None:
    with serving(tmp_path, trigger_script(lost)) as (service, api):
        run = service.trigger("importProducts", {"a": 1})

    posts = [
        request.body for request in api.requests if request.body and "spec" in request.body and request.method == "POST"
    ]
    assert len(posts) == 2
    assert posts[0] == posts[1]
    assert (run.id, run.input, run.created_by) == (posts[0]["metadata"]["name"], {"a": 1}, None)


def test_a_deletion_whose_response_was_lost_succeeds(tmp_path: Path) -> None:
    with serving(tmp_path, lambda _, before: Reply(0) if before == 0 else failure(404)) as (service, api):
        service.delete("a-run")
        assert len(api.requests) == 2


def test_the_name_of_the_user_is_requested_once(tmp_path: Path) -> None:
    def script(request: Request, _: int) -> Reply:
        if request.path.endswith("selfsubjectreviews"):
            return Reply(201, {"status": {"userInfo": {"username": "ann"}}})
        return Reply(200, RUN | {"metadata": RUN["metadata"] | (request.body or {}).get("metadata", {})})

    with serving(tmp_path, script) as (service, api):
        assert [service.trigger("importProducts").created_by for _ in range(3)] == ["ann"] * 3
        assert sum(request.path.endswith("selfsubjectreviews") for request in api.requests) == 1


def test_a_list_that_takes_too_long_starts_again(tmp_path: Path) -> None:
    def script(request: Request, before: int) -> Reply:
        if request.query.get("continue") == "old":
            return failure(410, "expired")
        following = {"continue": "old"} if before == 0 else {}
        return Reply(200, {"metadata": {"resourceVersion": "1", **following}, "items": [RUN]})

    with serving(tmp_path, script) as (service, _):
        assert [run.id for run in service.list()] == ["a-run"]
