"""Limits of payloads: which values can be stored, and errors with the path, the problem and the limit."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.api import limits
from podrelay.api.limits import PayloadError, check_payload, cut


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth - 1):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "output must be a JSON object, not list"),
        (None, "output must be a JSON object, not NoneType"),
        ("x", "output must be a JSON object, not str"),
        ({"a": [0, {"b": math.nan}]}, "output.a[1].b: nan is not a JSON number"),
        ({"a": math.inf}, "output.a: inf is not a JSON number"),
        ({"a": -math.inf}, "output.a: -inf is not a JSON number"),
        ({"a": 2**63}, "output.a: the integer 9223372036854775808 needs more than 64 bits"),
        ({"a": -(2**63) - 1}, "output.a: the integer -9223372036854775809 needs more than 64 bits"),
        ({"a": 10**5000}, "output.a: the integer of 16610 bits needs more than 64 bits"),
        ({1: "a"}, "output: the key 1 is int, JSON keys are strings"),
        ({"a": {None: 1}}, "output.a: the key None is NoneType"),
        ({"a": "\ud800"}, "output.a: a string with a lone surrogate"),
        ({"a": {"\udfff": 1}}, "output.a: a key with a lone surrogate"),
        ({"a": {1, 2}}, "output.a: set is not a JSON type"),
        ({"a": b"x"}, "output.a: bytes is not a JSON type"),
        ({"a": object()}, "output.a: object is not a JSON type"),
        (nested(201), "nested more than 200 levels deep"),
        (nested(100_000), "nested more than 200 levels deep"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_cannot_be_stored_are_rejected_with_their_path(value: Any, words: str) -> None:
    with pytest.raises(PayloadError) as caught:
        check_payload(value, "output")

    assert words in str(caught.value)
    str(caught.value).encode()


def test_a_payload_that_contains_itself_is_rejected() -> None:
    value: dict[str, Any] = {}
    value["a"] = value

    with pytest.raises(PayloadError, match="levels deep"):
        check_payload(value, "input")


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), True, None, 0.1, "", [], {}, (1, 2)])
def test_json_values_are_accepted(value: Any) -> None:
    assert json.loads(check_payload({"a": value}, "input")) == {"a": list(value) if isinstance(value, tuple) else value}


def test_200_levels_are_accepted() -> None:
    assert json.loads(check_payload(nested(200), "input")) == nested(200)


@pytest.mark.parametrize("letter", ["x", "ä", "😀"])
def test_the_limit_is_exactly_256_kib_of_utf8(letter: str) -> None:
    room = 256 * 1024 - len('{"a":""}')
    width = len(letter.encode())
    fits = letter * (room // width) + "x" * (room % width)

    assert len(check_payload({"a": fits}, "input")) == 256 * 1024
    with pytest.raises(PayloadError, match="input has 262145 bytes as JSON, the limit is 262144"):
        check_payload({"a": fits + "x"}, "input")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"]),
    lambda children: st.lists(children) | st.dictionaries(st.text() | st.integers(), children),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), anything, max_size=3))
def test_accepted_values_are_unchanged_by_a_round_trip(value: dict[str, Any]) -> None:
    try:
        data = check_payload(value, "input")
    except PayloadError as error:
        str(error).encode()  # an error message can always be encoded
        return

    assert json.loads(data) == value
    assert len(data) <= limits.PAYLOAD_BYTES


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_is_never_longer_than_allowed(text: str, length: int) -> None:
    result = cut(text, length)

    assert len(result) <= length
    assert result == text or (result.endswith("…") and text.startswith(result[:-1]))
