"""Decoding the JSON of bodies: everything valid is accepted without loss, and any body takes little time."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.http import bodies
from tests.support.jsonvalues import VALUES
from tests.unit.gateway.conftest import Gateway


@given(value=st.dictionaries(st.text(), VALUES, max_size=4), in_ascii=st.booleans())
def test_every_object_is_decoded_as_by_python(value: dict[str, Any], *, in_ascii: bool) -> None:
    assert bodies.decode(json.dumps(value, ensure_ascii=in_ascii).encode()) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity, "b": 1234567890123456789}',
        b"\xff\xfe",
        b"[" * 50_000,
    ],
)
def test_what_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        bodies.decode(body)


def test_integers_keep_their_digits() -> None:
    assert bodies.decode('{"a": 123456789012345678901234567890, "b": 9223372036854775807}') == {
        "a": 123456789012345678901234567890,
        "b": 9223372036854775807,
    }


@pytest.mark.parametrize(
    "piece",
    ["1e300", "1.5", "1.7976931348623157e308", '"x"', '""', "0", '"\\u0041"', "9" * 400],
)
def test_a_mebibyte_is_decoded_quickly(piece: str) -> None:
    body = f'{{"a": [{",".join([piece] * (1_000_000 // (len(piece) + 1)))}]}}'.encode()
    before = time.thread_time()

    assert bodies.decode(body)
    assert time.thread_time() - before < 0.3  # some decoders take 1.6 s


@pytest.mark.parametrize("piece", ["1e300", "1234567890123456789", '"1234567890123456789"', "9" * 400])
def test_many_values_are_refused_if_one_is_a_long_integer(piece: str) -> None:
    """They are decoded by a slower decoder: 1 MiB of 1e300 took 110 ms."""
    many, few = (f'{{"a": [{",".join([piece] * count)}], "b": {2**70}}}' for count in (40_001, 2_000))

    assert bodies.decode(few)["b"] == 2**70
    assert "pass a reference" in (bodies.excess(many.encode()) or "")
    with pytest.raises(json.JSONDecodeError, match="pass a reference"):
        bodies.decode(many)


async def test_many_lists_are_refused_with_what_to_do(gateway: Gateway) -> None:
    query = 'mutation($i: JSON) { backgroundTasks { triggerTask(definition: "x", input: $i) { error { code } } } }'
    fine = await gateway.post({"query": query, "variables": {"i": {"x": [[0]] * 40_000}}})
    refused = await gateway.post({"query": query, "variables": {"i": {"x": [[0]] * 60_000}}})

    assert fine.status == 200
    assert refused.status == 413
    assert "pass a reference" in (await refused.json())["errors"][0]["message"]


@pytest.mark.parametrize(
    "answer",
    [
        {"data": None},
        {"data": {}},
        {"data": {"a": {"b": {"data": [{"x": [1, "ä"], "y": 2**70}, {}, None]}}}, "errors": [{"message": "no \ud800"}]},
        {"data": {"backgroundTasks": {"listTasks": {"data": [{"input": {"a": "x" * 5000}}] * 3}}}, "extensions": {}},
    ],
)
async def test_an_answer_is_encoded_in_pieces_with_turns_in_between(answer: Any) -> None:
    turns = 0

    async def give() -> None:
        nonlocal turns
        turns += 1

    pieces = await bodies.encode_in_turns(answer, give)

    assert json.loads(b"".join(pieces)) == answer
    assert turns == sum(len(piece) > 2048 for piece in pieces)


async def test_large_items_are_encoded_one_by_one_and_small_ones_together() -> None:
    async def give() -> None:
        pass

    rows = [{"n": "x" * 100}] * 50 + [{"n": "x" * 1_000_000}] * 9 + [{"n": 1}] * 50
    answer: Any = {"data": {"backgroundTasks": {"listTasks": {"data": rows}}}}

    pieces = await bodies.encode_in_turns(answer, give)

    assert json.loads(b"".join(pieces)) == answer
    assert sum(len(piece) > 1 for piece in pieces) < 35
    assert max(map(len, pieces)) < 8_100_000
    assert sum(len(piece) > 900_000 for piece in pieces) > 1
