"""The concurrency key of an input, and the message for invalid fields."""

import hashlib
from typing import Any

import pytest

from podrelay.api.invalid_input import in_words
from podrelay.operator.executor.input_values import concurrency_key


@pytest.mark.parametrize(
    ("input", "path", "expected"),
    [
        ({"customer": "acme"}, "customer", '"acme"'),
        ({"customer": {"id": 1}}, "customer.id", "1"),
        ({"customer": {"id": "1"}}, "customer.id", '"1"'),
        ({"customer": None}, "customer", "null"),
        ({"customer": ""}, "customer", '""'),
        ({}, "customer", ""),
        ({"customer": "acme"}, "customer.id", ""),
        ({"customer": ["acme"]}, "customer.0", ""),
        ({"a": {"y": 1, "x": [2, "é"]}}, "a", '{"x":[2,"é"],"y":1}'),
        ({"a": "x" * 62}, "a", f'"{"x" * 62}"'),
        ({"a": "x" * 63}, "a", hashlib.sha256(f'"{"x" * 63}"'.encode()).hexdigest()),
    ],
)
def test_a_concurrency_key_is_the_json_of_the_value_or_its_hash(
    input: dict[str, Any], path: str, expected: str
) -> None:
    assert concurrency_key(input, path) == expected
    assert len(expected) <= 64


def test_every_field_is_named_and_the_message_is_cut() -> None:
    fields = {"url": {"message": "Field required"}, "": {"message": "too few"}}

    assert in_words(fields) == "Validation failed. url: Field required; input: too few"
    assert in_words({"url": {"message": "no"}, "page": "?"}, "Refused.") == "Refused. url: no"
    assert len(in_words({f"field{number}": {"message": "x" * 200} for number in range(100)})) == 4096
