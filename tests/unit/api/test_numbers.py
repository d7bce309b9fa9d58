"""Numbers become what the API server stores; the integration tests check the same table with a real API server."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import limits, numbers
from tests.support.numbers import KEPT


def exactly(value: Any) -> str:
    """1 and 1.0, 0 and -0.0 are equal in Python."""
    return repr(value)


@pytest.mark.parametrize(("sent", "kept"), KEPT, ids=repr)
def test_numbers_are_normalized_like_in_the_api_server(sent: Any, kept: Any) -> None:
    assert exactly(numbers.as_stored({"a": [{"b": sent}]})) == exactly({"a": [{"b": kept}]})
    assert exactly(numbers.loads(json.dumps(sent))) == exactly(kept)


@pytest.mark.parametrize("value", ["1.0", "-0.0", True, False, None, {"1.0": "1.0"}, [], {}], ids=repr)
def test_other_values_are_unchanged(value: Any) -> None:
    assert exactly(numbers.as_stored(value)) == exactly(value)


def test_a_tuple_becomes_a_list() -> None:
    assert exactly(numbers.as_stored({"a": (1.0, (2.5,))})) == exactly({"a": [1, [2.5]]})


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_stored_numbers_do_not_change_again(number: float) -> None:
    stored = numbers.as_stored(number)

    assert exactly(numbers.as_stored(stored)) == exactly(stored)
    assert float(stored) == float(number)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_lacks_are_rejected_first(number: float) -> None:
    with pytest.raises(limits.PayloadError, match=r"output.x: -?(nan|inf) is not a JSON number"):
        limits.check_payload({"x": number}, "output")


def test_an_integer_that_would_lose_digits_is_rejected_first() -> None:
    with pytest.raises(limits.PayloadError, match=r"output.x: the integer \d+ needs more than 64 bits"):
        limits.check_payload({"x": 2**63}, "output")
