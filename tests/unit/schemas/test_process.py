"""Validation of inputs by JSON Schemas: every invalid field is named, and every check ends in limited time."""

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from podrelay.schemas import process as schemaprocess
from podrelay.schemas.process import SchemaProcess, SchemaProcessError
from podrelay.schemas.program import MAX_BYTES, MAX_FIELDS, Request, check
from podrelay.schemas.verdict import Verdict
from podrelay.sdk import inputs
from podrelay.sdk.errors import InputError


class Row(BaseModel):
    number: int


class Import(BaseModel):
    url: str
    cursor: int = 0
    rows: list[Row] = []


TREE = {
    "$defs": {
        "node": {
            "anyOf": [
                {"type": "object", "properties": {"k": {"$ref": "#/$defs/node"}, "a": {}}, "required": ["k"]},
                {"type": "object", "properties": {"k": {"$ref": "#/$defs/node"}, "b": {}}, "required": ["k"]},
                {"type": "null"},
            ]
        }
    },
    "$ref": "#/$defs/node",
}
"""Two alternatives that refer to themselves: each further level doubles the time of the explanation."""


def nested(levels: int, innermost: Any) -> Any:
    value = innermost
    for _ in range(levels):
        value = {"k": value}
    return value


def checked(schema: Any, input: Any = None) -> Verdict:
    values = (schema, {} if input is None else input)
    return check(Request(*(msgspec.Raw(msgspec.json.encode(value)) for value in values)))


def test_a_valid_input_has_no_invalid_fields() -> None:
    schema = Import.model_json_schema()

    assert checked(schema, {"url": "x", "rows": [{"number": 1}], "more": True}) == Verdict()


def test_the_paths_are_those_of_the_sdk_for_the_same_model() -> None:
    wrong = {"cursor": "far", "rows": [{"number": 1}, {"number": "x"}, {}]}
    with pytest.raises(InputError) as caught:
        inputs.parse(Import, wrong)
    of_pydantic = caught.value.data["invalidFields"]

    fields = checked(Import.model_json_schema(), wrong).fields

    assert set(fields) == set(of_pydantic) == {"url", "cursor", "rows.1.number", "rows.2.number"}
    assert {name: field["data"] for name, field in fields.items()} == {
        name: field["data"] for name, field in of_pydantic.items()
    }
    assert (
        fields["url"]
        == of_pydantic["url"]
        == {"code": "missing", "message": "Field required", "data": {"path": ["url"]}}
    )
    assert fields["cursor"] == {
        "code": "type",
        "message": 'the value is not of type "integer"',
        "data": {"path": ["cursor"]},
    }


def test_each_unexpected_field_is_named_separately() -> None:
    class Closed(BaseModel, extra="forbid"):
        url: str

    fields = checked(Closed.model_json_schema(), {"url": "x", "a": 1, "b": 2}).fields

    assert {name: field["code"] for name, field in fields.items()} == {"a": "extra_forbidden", "b": "extra_forbidden"}


def test_errors_of_the_whole_input_have_an_empty_path() -> None:
    fields = checked({"minProperties": 1}).fields

    assert fields[""]["code"] == "minProperties"
    assert fields[""]["data"] == {"path": []}


def test_a_value_is_not_repeated_in_the_message() -> None:
    fields = checked({"properties": {"password": {"maxLength": 3}}}, {"password": "swordfish"}).fields

    assert "swordfish" not in json.dumps(fields)


def test_invalid_fields_are_limited_in_number_and_size() -> None:
    schema = {"additionalProperties": {"type": "integer"}}
    many = checked(schema, {f"f{number}": "x" for number in range(1000)}).fields
    long = checked(schema, {f"{number}" + "k" * 1000: "x" for number in range(1000)}).fields

    assert len(many) == MAX_FIELDS
    assert 1 < len(long) < MAX_FIELDS
    assert len(json.dumps(long, separators=(",", ":"), ensure_ascii=False).encode()) <= MAX_BYTES
    assert max(map(len, long)) <= 256


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "text"}, 'spec.inputSchema.type: "text" is not valid'),
        ({"properties": {"a": {"minimum": "b"}}}, 'spec.inputSchema.properties.a.minimum: "b" is not of type "number"'),
        ({"pattern": "("}, "spec.inputSchema.pattern: "),
        ({"$ref": "#/$defs/none"}, "Pointer '/$defs/none' does not exist"),
        ({"$ref": "http://127.0.0.1:1/schema.json"}, "Retrieval is disabled"),
        ({"$ref": "file:///etc/hostname"}, "Retrieval is disabled"),
        ({"$schema": "http://127.0.0.1:1/meta.json"}, "Unknown meta-schema"),
    ],
    ids=["type", "inside", "pattern", "no such $ref", "http", "file", "meta-schema"],
)
def test_an_invalid_schema_is_reported_and_nothing_is_fetched(schema: Any, words: str) -> None:
    problem = checked(schema).problem

    assert problem is not None
    assert words in problem
    assert len(problem) < 1024


def test_a_schema_of_an_older_draft_is_read_accordingly() -> None:
    properties = {"a": {"items": [{"type": "integer"}]}}
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "properties": properties}

    assert set(checked(schema, {"a": ["x"]}).fields) == {"a.0"}
    assert checked({"properties": properties}, {"a": ["x"]}).problem is not None


def test_a_schema_that_is_nested_too_deep_is_invalid() -> None:
    deep = b'{"not":' * 9000 + b"{}" + b"}" * 9000

    problem = check(Request(msgspec.Raw(deep))).problem

    assert problem is not None
    assert problem.startswith("spec.inputSchema: ")


def test_formats_are_not_enforced() -> None:
    assert checked({"properties": {"url": {"format": "uri"}}}, {"url": "no url"}) == Verdict()


def test_a_pattern_with_catastrophic_backtracking_ends() -> None:
    schema = {"properties": {"name": {"pattern": r"^(?=a)(a|aa)+\1$"}}}

    assert set(checked(schema, {"name": "a" * 5000 + "b"}).fields) == {"name"}


def test_a_valid_deep_input_is_checked_quickly_with_recursive_alternatives() -> None:
    assert checked(TREE, nested(150, None)) == Verdict()


@pytest.fixture
async def schemas() -> AsyncIterator[SchemaProcess]:
    process = SchemaProcess()
    yield process
    await process.close()


async def test_the_process_returns_the_result_of_the_check(schemas: SchemaProcess) -> None:
    schema = Import.model_json_schema()

    assert await schemas.check(schema, {"url": "x"}) == Verdict()
    assert await schemas.check(schema, {"text": "x" * 300_000, "lines": "\n"}) == checked(schema)
    assert await schemas.check({"type": "text"}) == checked({"type": "text"})


async def test_an_input_that_takes_too_long_ends_the_process_and_not_the_operator(schemas: SchemaProcess) -> None:
    verdict = await schemas.check(TREE, nested(30, "wrong"))

    assert verdict.problem is None
    assert verdict.fields[""]["code"] == "too_complex"
    assert await schemas.check(TREE, nested(3, None)) == Verdict()


async def test_a_schema_that_takes_too_long_is_an_error_of_the_schema(schemas: SchemaProcess) -> None:
    patterns = {f"f{number}": {"pattern": f"({number}a{{1000}}){{100}}"} for number in range(1000)}

    verdict = await schemas.check({"properties": patterns}, {})

    assert verdict.problem is not None
    assert "too complex" in verdict.problem
    assert verdict.fields == {}


async def test_a_killed_process_is_not_an_error_of_the_input(schemas: SchemaProcess) -> None:
    await schemas.check({})
    assert schemas._process is not None
    schemas._process.kill()
    await schemas._process.wait()

    assert await schemas.check({}) == Verdict()


async def test_an_idle_process_ends(schemas: SchemaProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemaprocess, "_IDLE_SECONDS", 0.01)
    await schemas.check({})
    process = schemas._process
    assert process is not None

    assert await process.wait() == 0
    assert await schemas.check({}) == Verdict()


async def test_an_error_of_the_process_itself_is_not_an_error_of_the_input(schemas: SchemaProcess) -> None:
    with pytest.raises(SchemaProcessError):
        await schemas._ask({"scheme": {}})
    assert await schemas.check({}) == Verdict()


async def test_a_process_that_cannot_be_started_is_reported(
    schemas: SchemaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemaprocess, "_PROGRAM", ("false",))

    with pytest.raises(SchemaProcessError):
        await schemas.check({})
