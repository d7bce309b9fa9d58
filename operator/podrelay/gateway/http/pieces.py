"""The body of a large answer, which is sent in parts."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

LARGE_BODY: Final = 2**18
"""Bytes that are sent at once."""


class Pieces(Payload):
    """A body that was encoded in pieces: they are never joined, which would block the event loop.

    Args:
        pieces: the pieces of the body.
    """

    _autoclose = True

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces, content_type="application/json")
        self.pieces = pieces

    @property
    def size(self) -> int:
        """The length of the body, in bytes."""
        return sum(map(len, self.pieces))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the whole body as text."""
        return b"".join(self.pieces).decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send the body, and let other requests have their turn in between."""
        for part in _parts(self.pieces):
            await writer.write(part)
            await asyncio.sleep(0)


def _parts(pieces: Sequence[bytes]) -> Iterator[bytes | memoryview]:
    """Return the pieces in parts of about LARGE_BODY: short pieces together, long ones divided."""
    short: list[bytes] = []
    size = 0
    for piece in pieces:
        if len(piece) > LARGE_BODY:
            if short:
                yield b"".join(short)
            short, size = [], 0
            view = memoryview(piece)
            for begin in range(0, len(piece), LARGE_BODY):
                yield view[begin : begin + LARGE_BODY]
            continue
        short.append(piece)
        size += len(piece)
        if size >= LARGE_BODY:
            yield b"".join(short)
            short, size = [], 0
    if short:
        yield b"".join(short)
