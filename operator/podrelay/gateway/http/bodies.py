"""Decode the bodies of requests, within limits, and encode those of answers."""

import gc
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, NoReturn

import orjson
from strawberry.http import GraphQLHTTPResponse

from podrelay.gateway.documents.shapes import MAX_NESTS
from podrelay.gateway.encoding import encode
from podrelay.gateway.errors import LimitError, ValidationError

_ALL: Final = bytes(range(256))
_DIGITS: Final = _ALL.replace(b"123456789", b"0" * 9)
_LONG: Final = b"0" * 19
"""An integer with this many digits may not fit into 64 bits."""
MAX_VALUES: Final = 40_000
"""Values of a text with such integers: it is decoded by a slower decoder, which takes 0.65 us for each."""

_LEVELS_TO_LISTS: Final = 4
"""`data`, `backgroundTasks`, a field such as `listTasks`, and its `data`."""
_SHORT: Final = 2**11
"""Bytes of a value after which other requests need not have their turn."""
_MOST_TOGETHER: Final = 8
"""Items of a list that are encoded together, as long as they are short."""


def excess(data: bytes) -> str | None:
    """Return what a JSON text has too much of, as a message; None if it can be decoded quickly."""
    advice = "keep large data in separate storage and pass a reference"
    if data.count(b"[") + data.count(b"{") > MAX_NESTS:
        words = f"the {MAX_NESTS} lists and objects that are allowed (brackets in texts count)"
        return f"The body has more than {words}: {advice}."
    if data.count(b",") > MAX_VALUES and _may_have_long_integers(data):
        words = f"the {MAX_VALUES} values that are allowed with numbers of {len(_LONG)} or more digits"
        return f"The body has more than {words} (commas and digits in texts count): {advice}."
    return None


def _may_have_long_integers(data: bytes) -> bool:
    return _LONG in data.translate(_DIGITS)


def decode(data: str | bytes) -> dict[str, Any]:
    """Decode a JSON object.

    Raises:
        json.JSONDecodeError: it is not a JSON object, is nested too deep, or has too much (`excess`).
    """
    encoded = _encoded(data)
    if (problem := excess(encoded)) is not None:
        raise json.JSONDecodeError(problem, "", 0)
    found = _read(encoded)
    if not isinstance(found, dict):
        raise json.JSONDecodeError("not a JSON object", "", 0)
    return found


def decode_request(data: str | bytes, max_batch: int) -> dict[str, Any] | list[dict[str, Any]]:
    """Decode an operation, or a batch of operations, of a body that `excess` has accepted.

    Raises:
        json.JSONDecodeError: it is neither a JSON object nor a list of them, or is nested too deep.
        LimitError: the batch has more operations than are allowed.
        ValidationError: the batch is empty.
    """
    found = _read(_encoded(data))
    if not isinstance(found, list):
        if not isinstance(found, dict):
            raise json.JSONDecodeError("not a JSON object", "", 0)
        return found
    if not found:
        raise ValidationError("The batch has no operations: send at least one.", "body")
    if len(found) > max_batch:
        raise LimitError(
            f"The batch has {len(found)} operations, more than the {max_batch} that are allowed: send several batches."
        )
    if not all(isinstance(one, dict) for one in found):
        raise json.JSONDecodeError("a batch must be a list of JSON objects", "", 0)
    return found


async def encode_in_turns(answer: GraphQLHTTPResponse, give: Callable[[], Awaitable[None]]) -> list[bytes]:
    """Return the pieces of an answer in JSON, like `encode`, some tasks of a list at a time.

    Args:
        answer: the answer to one operation.
        give: lets other requests have their turn, if this one has taken long enough.
    """
    pieces: list[bytes] = []
    for piece in _parts(answer, _LEVELS_TO_LISTS):
        pieces.append(piece)
        if len(piece) > _SHORT:
            await give()
    return pieces


def _parts(data: object, levels: int) -> Iterator[bytes]:
    """Return the JSON of an answer: items of lists together, and values that are nested deeper as a whole."""
    if isinstance(data, list):
        yield from _items(data)
    elif levels and data and isinstance(data, dict):
        for place, (name, value) in enumerate(data.items()):
            yield (b"," if place else b"{") + encode(name) + b":"
            yield from _parts(value, levels - 1)
        yield b"}"
    else:
        yield encode(data)


def _items(items: list[object]) -> Iterator[bytes]:
    """Return the JSON of a list: the more items together, the shorter they are."""
    yield b"["
    begin, count = 0, 1
    while begin < len(items):
        piece = encode(items[begin : begin + count])[1:-1]
        if begin:
            yield b","
        yield piece
        begin += count
        count = min(2 * count, _MOST_TOGETHER) if len(piece) < _SHORT * count else 1
    yield b"]"


def _encoded(data: str | bytes) -> bytes:
    return data.encode(errors="replace") if isinstance(data, str) else data


def _read(encoded: bytes) -> Any:
    """Decode JSON without loss, in less than 50 ms for 1 MiB that has not too much.

    Other decoders take 1.5 s for large floats. orjson turns integers of more than 64 bits into floats, so if there may
    be such integers, Python's json module is used.

    Raises:
        json.JSONDecodeError: it is not JSON, or is nested too deep.
    """
    collects = gc.isenabled()
    gc.disable()  # nothing is garbage yet, and a collection takes as long as the decoding
    try:
        return _exactly(encoded) if _may_have_long_integers(encoded) else _fast(encoded)
    except (RecursionError, ValueError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
    finally:
        if collects:
            gc.enable()


def _fast(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "ecursion" in str(error):  # it gives up after 1,024 levels
            return _exactly(data)
        raise


def _exactly(data: bytes) -> Any:
    return json.loads(data.decode(), parse_constant=_refuse)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON")
