"""Overrides of a task, and another start, in GraphQL."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.gateway.builders import definition, run
from tests.unit.gateway.conftest import Gateway

TRIGGER = """mutation($overrides: JSON) { backgroundTasks {
  triggerTask(definition: "countWords", overrides: $overrides) {
    data { id overrides } error { code message data } } } }"""
RERUN = """mutation($overrides: JSON) { backgroundTasks {
  rerunTask(id: "words", overrides: $overrides) { data { id overrides } error { code message } } } }"""
RESCHEDULE = """mutation($startAt: DateTime, $delay: Number) { backgroundTasks {
  rescheduleTask(id: "words", startAt: $startAt, delay: $delay) {
    data { id startAt } error { code message data } } } }"""
RUNS = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskruns"
PLACE = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskdefinitions/count-words"
GIVEN = {"maxIterations": 500, "env": [{"name": "LOG_LEVEL", "value": "debug"}]}


def define(gateway: Gateway, *allowed: str, newer: tuple[str, ...] | None = None) -> None:
    """Define the task; `newer` is what the definition allows in the API server, which the cache does not know yet."""
    gateway.cache.definitions.apply(definition(allow_overrides=allowed))
    gateway.api.objects[PLACE] = {"spec": {"allowOverrides": list(allowed if newer is None else newer)}}


async def ask(gateway: Gateway, document: str, **variables: Any) -> Any:
    answer = await gateway.ask(document, **variables)
    assert "errors" not in answer, answer
    (field,) = answer["data"]["backgroundTasks"].values()
    return field


def posted(gateway: Gateway) -> list[str]:
    return [path for method, path, _ in gateway.api.seen if method == "POST" and path.endswith("/taskruns")]


@pytest.mark.parametrize("allowed", [("maxIterations", "env"), ("maxIterations", "env.LOG_LEVEL")])
async def test_a_task_starts_with_overrides_that_are_allowed(gateway: Gateway, allowed: tuple[str, ...]) -> None:
    define(gateway, *allowed)
    assert (await ask(gateway, TRIGGER, overrides=GIVEN))["data"]["overrides"] == GIVEN


async def test_a_task_without_overrides_shows_none(gateway: Gateway) -> None:
    define(gateway)
    assert (await ask(gateway, TRIGGER))["data"]["overrides"] is None


async def test_overrides_that_are_not_allowed_are_refused_before_the_write(gateway: Gateway) -> None:
    define(gateway, "maxIterations")

    error = (await ask(gateway, TRIGGER, overrides=GIVEN))["error"]

    assert error["code"] == "BackgroundTasks/ValidationError"
    assert error["message"] == (
        "spec.overrides has env.LOG_LEVEL, but TaskDefinition count-words allows maxIterations; its author can add "
        "them to spec.allowOverrides."
    )
    assert error["data"]["issues"][0]["path"] == ["overrides"]
    assert posted(gateway) == []


async def test_a_definition_that_has_just_been_changed_counts(gateway: Gateway) -> None:
    define(gateway, newer=("maxIterations", "env"))
    assert (await ask(gateway, TRIGGER, overrides=GIVEN))["error"] is None


async def test_what_cannot_be_checked_is_left_to_the_api_server_and_the_operator(gateway: Gateway) -> None:
    define(gateway)
    del gateway.api.objects[PLACE]
    assert (await ask(gateway, TRIGGER, overrides=GIVEN))["error"] is None


async def test_a_misspelt_override_is_not_ignored(gateway: Gateway) -> None:
    define(gateway, "timeouts")
    error = (await ask(gateway, TRIGGER, overrides={"timeouts": {"iterationSeconds": 5}}))["error"]
    assert error["message"].startswith("overrides has the unknown field 'iterationSeconds' in timeouts")


@pytest.mark.parametrize(
    ("given", "expected"), [(None, GIVEN), ({"maxIterations": 5}, {"maxIterations": 5}), ({}, None)]
)
async def test_a_task_runs_again_with_its_overrides_or_others(gateway: Gateway, given: Any, expected: Any) -> None:
    define(gateway, "maxIterations", "env")
    stored(gateway, overrides=GIVEN)
    assert (await ask(gateway, RERUN, overrides=given))["data"]["overrides"] == expected


def stored(gateway: Gateway, *, started: bool = False, **spec: Any) -> None:
    """Store the task words in the API server and the cache."""
    gateway.cache.runs.apply(run("words"))
    about = {"name": "words", "namespace": "shop", "uid": "uid-words", "resourceVersion": "1"}
    status = {"phase": "Running", "startedAt": "2026-11-24T12:00:00Z"} if started else {"phase": "Pending"}
    gateway.api.objects[f"{RUNS}/words"] = {
        "metadata": about | {"creationTimestamp": "2026-11-24T12:00:00Z"},
        "spec": {"definition": "count-words", **spec},
        "status": status,
    }


async def test_a_task_gets_another_start(gateway: Gateway) -> None:
    stored(gateway, delaySeconds=3600)

    answer = await ask(gateway, RESCHEDULE, startAt="2026-12-24T18:00:00+01:00")

    assert answer["data"] == {"id": "words", "startAt": "2026-12-24T17:00:00.000Z"}
    assert "delaySeconds" not in gateway.api.objects[f"{RUNS}/words"]["spec"]


async def test_a_delay_counts_from_now(gateway: Gateway) -> None:
    stored(gateway)
    before = datetime.now(UTC)

    answer = await ask(gateway, RESCHEDULE, delay=3600)

    start = datetime.fromisoformat(answer["data"]["startAt"])
    assert 3599 <= (start - before).total_seconds() <= 3660


async def test_without_a_time_a_task_starts_at_once(gateway: Gateway) -> None:
    stored(gateway, startAt="2026-12-24T17:00:00Z")
    assert (await ask(gateway, RESCHEDULE))["data"]["startAt"] is None


async def test_a_task_that_has_started_stays_as_it_is(gateway: Gateway) -> None:
    stored(gateway, started=True)
    gateway.api.refusals[f"{RUNS}/words"] = "spec.startAt cannot be changed: the run has already started"

    error = (await ask(gateway, RESCHEDULE, delay=5))["error"]

    assert error["code"] == "BackgroundTasks/Task/Started"
    assert error["data"] == {"id": "words", "status": "running"}


@pytest.mark.parametrize(
    ("variables", "code", "words"),
    [
        ({"delay": 30_672_000}, "MAX_DELAY_ERROR", "The maximum delay for a task is 355 days."),
        ({"delay": -1}, "BackgroundTasks/ValidationError", "delay must be a whole number of seconds"),
        ({"delay": 1, "startAt": "2026-12-24T17:00:00Z"}, "BackgroundTasks/ValidationError", "startAt cannot be"),
    ],
)
async def test_an_impossible_start_is_refused(
    gateway: Gateway, variables: dict[str, Any], code: str, words: str
) -> None:
    stored(gateway)
    error = (await ask(gateway, RESCHEDULE, **variables))["error"]
    assert error["code"] == code
    assert error["message"].startswith(words)
