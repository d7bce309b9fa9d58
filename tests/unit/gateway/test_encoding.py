"""Encoding answers: nothing is lost, and values that are encoded slowly are so only once."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.encoding import encode, encode_value
from tests.support.jsonvalues import VALUES

LONE = st.text(st.characters(exclude_categories=()))


@given(value=st.recursive(VALUES | LONE, lambda inner: st.lists(inner) | st.dictionaries(LONE, inner), max_leaves=30))
def test_everything_is_encoded_without_loss(value: Any) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize("levels", [10, 100, 400])
def test_what_is_nested_deeply_is_encoded(levels: int) -> None:
    value: Any = "\ud800"
    for _ in range(levels):
        value = {"a": [value]}

    assert json.loads(encode(value)) == value


def test_the_slower_encoder_gets_only_what_the_fast_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []
    slow = json.dumps

    def noted(value: Any, **options: Any) -> str:
        encoded.append(value)
        return slow(value, **options)

    monkeypatch.setattr(json, "dumps", noted)
    rows = [{"id": f"run-{number}", "input": {"n": number, "list": [1, 2, 3]}} for number in range(1000)]
    rows[500]["input"] = {"n": 2**70, "list": [1, 2, 3]}
    encode({"data": {"backgroundTasks": {"listTasks": {"data": rows}}}})

    names = ["data", "backgroundTasks", "listTasks", "data", "id", "input", "n", "list"]
    assert [value for value in encoded if value not in names] == [2**70]


@given(value=st.recursive(VALUES | LONE, lambda inner: st.lists(inner) | st.dictionaries(LONE, inner), max_leaves=30))
def test_values_that_are_encoded_already_are_copied_into_their_answer(value: Any) -> None:
    answer = {"data": [{"input": orjson.Fragment(encode_value(value)), "name": "no \ud800"}]}
    assert json.loads(encode(answer)) == {"data": [{"input": value, "name": "no \ud800"}]}


def test_values_that_are_encoded_already_may_be_nested_deeply_next_to_what_the_fast_encoder_refuses() -> None:
    answer: object = {"input": orjson.Fragment(b'{"a": 1}'), "name": "no \ud800"}
    expected: object = {"input": {"a": 1}, "name": "no \ud800"}
    for _ in range(60):
        answer, expected = {"parent": answer}, {"parent": expected}

    assert json.loads(encode(answer)) == expected
    with pytest.raises(TypeError, match="object is not JSON"):
        encode_value(object())
