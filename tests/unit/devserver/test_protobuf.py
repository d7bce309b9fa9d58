"""Messages that kubectl sends as Protobuf."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.devserver import protobuf


def field(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def message(kind: str, body: bytes) -> bytes:
    about = field(1, b"v1") + field(2, kind.encode())
    return protobuf.MAGIC + field(1, about) + field(2, body) + field(3, b"") + field(4, b"")


def test_a_secret_is_decoded() -> None:
    metadata = field(1, b"keys") + field(11, field(1, b"app") + field(2, b"shop")) + bytes([7 << 3, 1])
    body = field(1, metadata) + field(2, field(1, b"token") + field(2, b"a\xff")) + field(3, b"Opaque")

    assert protobuf.decode(message("Secret", body)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "labels": {"app": "shop"}},
        "data": {"token": "Yf8="},
        "stringData": {},
        "type": "Opaque",
    }


def test_a_namespace_is_decoded() -> None:
    decoded = protobuf.decode(message("Namespace", field(1, field(1, b"shop"))))

    assert decoded == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@given(st.binary(max_size=200))
def test_anything_else_is_refused(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(protobuf.decode(protobuf.MAGIC + content), dict)


@pytest.mark.parametrize(
    "content", [b"\x0a\x05ab", b"\x80", b"\x0b", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
)
def test_a_damaged_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="Protobuf"):
        protobuf.decode(protobuf.MAGIC + content)
