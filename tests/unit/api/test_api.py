"""Names and limits that all parts agree on, and the schema that is made from the models."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import limits, names
from podrelay.api.crd import custom_resource_definitions

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
RUNS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,47}[a-z0-9])?", fullmatch=True)


@given(RUNS, st.integers(1, 10_000), st.integers(1, 200))
def test_a_pods_name_tells_its_run_and_iteration(run: str, iteration: int, attempt: int) -> None:
    name = names.pod_name(run, iteration, attempt)

    assert names.run_of(name) == run
    assert names.iteration_of(name) == iteration
    assert len(name) <= 63


@given(RUNS, RUNS, st.integers(1, 99), st.integers(1, 99), st.integers(1, 9), st.integers(1, 9))
def test_names_of_pods_never_collide(a: str, b: str, i: int, j: int, t: int, u: int) -> None:
    assert (names.pod_name(a, i, t) == names.pod_name(b, j, u)) == ((a, i, t) == (b, j, u))


@pytest.mark.parametrize(
    ("definition_id", "name"),
    [
        ("importProducts", "import-products"),
        ("testingRun2", "testing-run-2"),
        ("a", "a"),
        ("import-products", "import-products"),
    ],
)
def test_names_of_definitions(definition_id: str, name: str) -> None:
    assert names.definition_name(definition_id) == name


@pytest.mark.parametrize("wrong", ["ImportProducts", "import_products", "importHTTP", "test2run", "", "ä"])
def test_ids_that_are_not_camel_case(wrong: str) -> None:
    assert not names.is_camel_case(wrong)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_whatever_payload_is_accepted_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    try:
        data = limits.check_payload(payload, "output")
    except limits.PayloadError:
        return
    assert json.loads(data) == payload


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ([], "output must be a JSON object, not list"),
        ({"a": [1, {"b": {1}}]}, r"output.a\[1\].b: set is no JSON type"),
        ({"a": float("nan")}, "output.a: nan is no JSON number"),
        ({"a": 2**63}, "output.a: the integer 9223372036854775808 needs more than 64 bits"),
        ({"a": 10**400}, "output.a: the integer of 1329 bits"),
        ({1: 2}, "output: the key 1 is int"),
        ({"a": "\ud800"}, "output.a: a string with a lone surrogate"),
        ({"\ud800": 1}, "output: a key with a lone surrogate"),
    ],
)
def test_payloads_that_cannot_be_stored_are_refused_with_their_place(payload: Any, words: str) -> None:
    with pytest.raises(limits.PayloadError, match=words):
        limits.check_payload(payload, "output")


def test_the_limit_is_counted_in_bytes() -> None:
    overhead = len('{"a":""}')
    fits = "é" * ((limits.PAYLOAD_BYTES - overhead) // 2)

    assert len(limits.check_payload({"a": fits}, "x")) == limits.PAYLOAD_BYTES
    with pytest.raises(limits.PayloadError, match="x has 262145 bytes as JSON, the limit is 262144"):
        limits.check_payload({"a": fits + "a"}, "x")


def test_deep_nesting_is_a_clear_refusal() -> None:
    value: Any = {}
    for _ in range(100_000):
        value = [value]

    with pytest.raises(limits.PayloadError, match="nested more than 200 levels deep"):
        limits.check_payload({"a": value}, "x")


def unlimited(schema: dict[str, Any], path: str) -> list[str]:
    """Return the paths of a schema that have no limit."""
    found = []
    kind = schema.get("type")
    if kind == "string" and not schema.keys() & {"maxLength", "enum"}:
        found.append(path)
    if kind == "array":
        found += [path] if "maxItems" not in schema else []
        found += unlimited(schema["items"], f"{path}[]")
    if kind == "object" and schema.get("x-kubernetes-preserve-unknown-fields") and "maxProperties" not in schema:
        found.append(path)
    for name, child in schema.get("properties", {}).items():
        found += unlimited(child, f"{path}.{name}")
    return found


@pytest.mark.parametrize("name", list(custom_resource_definitions()))
def test_every_field_of_every_resource_has_a_limit_and_a_description(name: str) -> None:
    schema = custom_resource_definitions()[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    own = {key: value for key, value in schema["properties"].items() if key not in {"apiVersion", "kind", "metadata"}}

    assert unlimited({"type": "object", "properties": own}, "") == []
    assert all(value.get("description") for value in own.values())
