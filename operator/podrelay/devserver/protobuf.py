"""Decodes the few Protobuf messages that kubectl sends: commands such as `kubectl create secret` use no JSON.

A message of Kubernetes is an envelope with apiVersion, kind and the message of that kind. Of that, the fields that
kubectl sets are decoded; their numbers are those of generated.proto in k8s.io/api.
"""

import base64
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

MAGIC: Final = b"k8s\0"

_VARINT: Final = 0
_FIXED: Final = {1: 8, 5: 4}
_BYTES: Final = 2
_LABELS: Final = (("labels", 11), ("annotations", 12))
_TEXTS: Final = {"ConfigMap": (("data", 2),), "Secret": (("stringData", 4),)}
_BINARIES: Final = {"ConfigMap": (("binaryData", 3),), "Secret": (("data", 2),)}


def decode(content: bytes) -> dict[str, Any]:
    """Return the object in a message that starts with `MAGIC`.

    Raises:
        ValueError: it is not valid.
    """
    envelope = _fields(content[len(MAGIC) :])
    about = _fields(_first(envelope, 1))
    kind = _text(about, 2)
    message = _fields(_first(envelope, 2))
    metadata = _fields(_first(message, 1))
    named: dict[str, Any] = {"name": _text(metadata, 1), "generateName": _text(metadata, 2)}
    named |= {name: _map(metadata, number) for name, number in _LABELS}
    found: dict[str, Any] = {"apiVersion": _text(about, 1), "kind": kind}
    found["metadata"] = {name: value for name, value in named.items() if value}
    for name, number in _TEXTS.get(kind, ()):
        found[name] = _map(message, number)
    for name, number in _BINARIES.get(kind, ()):
        items = map(_fields, message[number])
        found[name] = {_text(item, 1): base64.b64encode(_first(item, 2)).decode() for item in items}
    if kind == "Secret":
        found["type"] = _text(message, 3) or "Opaque"
    return found


def _map(message: dict[int, list[bytes]], number: int) -> dict[str, str]:
    return {_text(item, 1): _text(item, 2) for item in map(_fields, message[number])}


def _text(message: dict[int, list[bytes]], number: int) -> str:
    return _first(message, number).decode()


def _first(message: dict[int, list[bytes]], number: int) -> bytes:
    return next(iter(message[number]), b"")


def _fields(content: bytes) -> dict[int, list[bytes]]:
    """Return the fields of a message that are texts, bytes or messages, by number."""
    found: dict[int, list[bytes]] = defaultdict(list)
    at, rest = 0, memoryview(content)
    while at < len(rest):
        key, at = _varint(rest, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            _, at = _varint(rest, at)
        elif kind == _BYTES:
            size, at = _varint(rest, at)
            found[number].append(bytes(rest[at : at + size]))
            at += size
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise ValueError(f"unknown wire type {kind} in a Protobuf message")
    if at != len(rest):
        raise ValueError("a Protobuf message ends too early")
    return found


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in zip(range(0, 70, 7), _bytes(content, at), strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    raise ValueError("a Protobuf message ends too early")


def _bytes(content: memoryview, at: int) -> Iterator[int]:
    yield from content[at:]
