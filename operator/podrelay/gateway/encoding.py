"""Encode answers as JSON, without loss.

The fast encoder, orjson, refuses integers of more than 64 bits, lone surrogates, and what is nested too deep. The json
module of Python encodes these, in ASCII, and takes ten times as long.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Final

import orjson

_MOST_LEVELS: Final = 50
"""What is nested deeper is encoded by the json module as a whole, which can call itself more often."""


def encode_value(value: object) -> bytes:
    """Return the JSON of one value, such as the input of a run."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, default=_decoded).encode()


def _decoded(value: object) -> object:
    """Return what an `orjson.Fragment` contains: the json module can only encode it again."""
    if not isinstance(value, orjson.Fragment):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return json.loads(orjson.dumps(value))


def encode(answer: object) -> bytes:
    """Return the JSON of an answer, or a part of one. Values that are encoded already are an `orjson.Fragment`.

    An answer has too many values for the json module: it gets only those that orjson refuses.
    """
    try:
        return orjson.dumps(answer)
    except orjson.JSONEncodeError:
        return b"".join(_pieces(answer))


def _pieces(data: object, depth: int = 0) -> Iterator[bytes]:
    """Return the JSON of what orjson refuses as a whole: the json module gets as little of it as possible."""
    if not isinstance(data, dict | list) or not data or depth > _MOST_LEVELS:
        yield encode_value(data)
        return
    is_object = isinstance(data, dict)
    for place, (name, item) in enumerate(data.items() if isinstance(data, dict) else enumerate(data)):
        yield b"," if place else b"{" if is_object else b"["
        if is_object:
            yield json.dumps(name).encode() + b":"
        if len(data) > 1:  # a single one is what has just been refused
            with contextlib.suppress(orjson.JSONEncodeError):
                yield orjson.dumps(item)
                continue
        yield from _pieces(item, depth + 1)
    yield b"}" if is_object else b"]"
