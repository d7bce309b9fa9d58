"""Converts numbers to the form in which the API server stores them. Standard library only.

JSON has one kind of number, Python and Go have two. The API server reads `1.0` as a float, writes it into etcd as `1`,
and reads that back as an integer: a client that sends `1.0` again sends a different value, and a rule such as "the
first stored response wins" rejects it. This module does what the API server does (sigs.k8s.io/json and Go's
encoding/json):

- a float without a fraction becomes an integer if its shortest digits fit into 64 bits: 1.0 is 1, 1e3 is 1000;
- -0.0 becomes 0;
- an integer of more than 64 bits becomes a float.

Keys, and numbers within strings, are not changed. NaN and Infinity are not valid JSON: `limits.check_payload` rejects
them.
"""

import json
from typing import Any, Final

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_EXACT: Final = 2**53
"""Up to this number every float without a fraction equals the integer with the same digits."""
_LONGEST: Final = 20
"""Number of characters of the longest 64-bit integer."""


def loads(text: str | bytes) -> Any:
    """Parse JSON and return the value as the API server stores it.

    Raises:
        ValueError: `text` is not valid JSON.
        RecursionError: `text` is nested too deep.
    """
    return _DECODER.decode(text if isinstance(text, str) else text.decode())


def as_stored(value: Any) -> Any:
    """Return a copy of a JSON value as the API server returns it after storing it; tuples become lists."""
    return loads(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _integer(text: str) -> float:
    number: float = int(text) if len(text) <= _LONGEST else float(text)
    return number if isinstance(number, float) or _SMALLEST <= number <= _LARGEST else float(text)


def _float(text: str) -> float:
    number = float(text)
    if not number.is_integer():  # infinity is not an integer, either
        return number
    if -_EXACT <= number <= _EXACT:
        return int(number)
    from decimal import Decimal  # noqa: PLC0415 - most pods never need it

    # Go writes the shortest digits that identify the number and pads with zeros: 2.0**62 is 4611686018427388000.
    whole = int(Decimal(repr(number))) if abs(number) < 2 * _LARGEST else None
    return whole if whole is not None and _SMALLEST <= whole <= _LARGEST else number


# Shared, because json.loads would create a decoder for each call with custom parsers.
_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_float)
