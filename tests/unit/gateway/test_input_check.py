"""Inputs are validated against the schema of their definition before a run is created; errors name each field."""

from typing import Any

import msgspec
import pytest

from podrelay.gateway import input_check
from podrelay.gateway.objects import Definition, Present
from tests.unit.gateway.builders import definition
from tests.unit.gateway.conftest import Gateway

TRIGGER = """mutation($input: JSON) { backgroundTasks {
    triggerTask(definition: "countWords", input: $input) { data { id } error { message code data } } } }"""
DEFINITIONS = "{ backgroundTasks { listDefinitions { data { id inputSchema } error { code } } } }"
PLACE = "/apis/podrelay.dev/v1alpha1/namespaces/shop/taskdefinitions/count-words"
SCHEMA = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}}


def define(gateway: Gateway, schema: Any = SCHEMA) -> None:
    present = None if schema is None else Present()
    gateway.cache.definitions.apply(definition(input_schema=present))
    gateway.api.objects[PLACE] = {"spec": {"inputSchema": schema}}


async def trigger(gateway: Gateway, input: Any) -> Any:
    answer = await gateway.ask(TRIGGER, input=input)
    return answer["data"]["backgroundTasks"]["triggerTask"]


async def test_an_input_that_does_not_fit_creates_nothing_and_names_the_fields(gateway: Gateway) -> None:
    define(gateway)

    answer = await trigger(gateway, {"cursor": 1})

    assert answer == {
        "data": None,
        "error": {
            "message": "Validation failed.",
            "code": "VALIDATION_FAILED_INVALID_FIELDS",
            "data": {
                "invalidFields": {"url": {"code": "missing", "message": "Field required", "data": {"path": ["url"]}}}
            },
        },
    }
    assert [path for method, path, _ in gateway.api.seen if method == "POST" and path.endswith("/taskruns")] == []


async def test_a_missing_input_is_validated_as_an_empty_one(gateway: Gateway) -> None:
    define(gateway)

    assert set((await trigger(gateway, None))["error"]["data"]["invalidFields"]) == {"url"}


async def test_a_valid_input_starts_a_run(gateway: Gateway) -> None:
    define(gateway)

    assert (await trigger(gateway, {"url": "x"}))["error"] is None


async def test_a_definition_without_a_schema_is_not_read(gateway: Gateway) -> None:
    define(gateway, None)

    assert (await trigger(gateway, {}))["error"] is None
    assert gateway.api.asked("taskdefinitions/") == 0


@pytest.mark.parametrize("schema", [{"type": "text"}, {"$ref": "https://example.org/x.json"}])
async def test_an_invalid_schema_is_left_to_the_operator(gateway: Gateway, schema: Any) -> None:
    define(gateway, schema)

    assert (await trigger(gateway, {}))["error"] is None


async def test_a_definition_that_cannot_be_read_is_left_to_the_operator(gateway: Gateway) -> None:
    define(gateway)
    del gateway.api.objects[PLACE]

    assert (await trigger(gateway, {}))["error"] is None


async def test_a_check_that_has_to_wait_for_others_is_left_to_the_operator(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_check, "_SECONDS", 0)
    define(gateway)

    assert (await trigger(gateway, {}))["error"] is None


def test_the_cache_keeps_only_whether_there_is_a_schema() -> None:
    about = {
        "name": "n",
        "namespace": "s",
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-24T12:00:00Z",
    }
    spec = {"id": "n", "title": "N", "inputSchema": {"type": "object", "required": ["a"]}}

    kept = msgspec.convert({"metadata": about, "spec": spec}, Definition)
    without = msgspec.convert({"metadata": about, "spec": {"id": "n", "title": "N"}}, Definition)

    assert (msgspec.to_builtins(kept.spec.input_schema), without.spec.input_schema) == ({}, None)


async def test_definitions_show_their_schemas(gateway: Gateway) -> None:
    define(gateway)

    answer = await gateway.ask(DEFINITIONS)

    (shown,) = answer["data"]["backgroundTasks"]["listDefinitions"]["data"]
    assert shown == {"id": "countWords", "inputSchema": SCHEMA}


async def test_a_definition_without_a_schema_shows_none(gateway: Gateway) -> None:
    define(gateway, None)

    answer = await gateway.ask(DEFINITIONS)

    assert answer["data"]["backgroundTasks"]["listDefinitions"]["data"][0]["inputSchema"] is None
    assert gateway.api.asked("taskdefinitions/") == 0
