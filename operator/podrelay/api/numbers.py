"""Numbers as the API server keeps them: what is sent, kept and compared is what comes back. Standard library only.

JSON has one kind of number, Python and Go have two. The API server reads `1.0` as a float, writes it into etcd as `1`,
and reads that as an integer: whoever sends `1.0` again sends something else, and a rule such as "the first stored
response wins" refuses it. What it does (sigs.k8s.io/json and Go's encoding/json), and so what happens here:

- a float without a fraction becomes an integer where its shortest digits fit into 64 bits: 1.0 is 1, 1e3 is 1000;
- -0.0 becomes 0;
- an integer of more than 64 bits becomes a float.

Keys, and numbers in text, stay as they are. NaN and Infinity are no JSON: `limits.check_payload` refuses them.
"""

import json
from typing import Any, Final

_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**63 - 1
_EXACT: Final = 2**53
"""Up to here every whole float is the integer of its digits."""
_LONGEST: Final = 20
"""Characters of the longest integer of 64 bits."""


def loads(text: str | bytes) -> Any:
    """Return JSON as the API server keeps it.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deep.
    """
    return _DECODER.decode(text if isinstance(text, str) else text.decode())


def as_stored(value: Any) -> Any:
    """Return a copy of a JSON value as the API server gives it back once it is stored; tuples are lists there."""
    return loads(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _integer(text: str) -> float:
    number: float = int(text) if len(text) <= _LONGEST else float(text)
    return number if isinstance(number, float) or _SMALLEST <= number <= _LARGEST else float(text)


def _float(text: str) -> float:
    number = float(text)
    if not number.is_integer():  # infinite ones are none, either
        return number
    if -_EXACT <= number <= _EXACT:
        return int(number)
    from decimal import Decimal  # noqa: PLC0415 - pods that meet no such number need not load it

    # Go writes the shortest digits that lead to the number and fills up with zeros: 2.0**62 is 4611686018427388000.
    whole = int(Decimal(repr(number))) if abs(number) < 2 * _LARGEST else None
    return whole if whole is not None and _SMALLEST <= whole <= _LARGEST else number


# One for all: json.loads makes one for each call that wants something of its own.
_DECODER: Final = json.JSONDecoder(parse_int=_integer, parse_float=_float)
