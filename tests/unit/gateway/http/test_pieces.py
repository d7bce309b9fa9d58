"""Large bodies are sent in parts, without being joined."""

import pytest

from podrelay.gateway.http.pieces import LARGE_BODY, Pieces


class Writer:
    """What aiohttp writes a body to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    async def write(self, part: bytes | memoryview) -> None:
        self.parts.append(bytes(part))


@pytest.mark.parametrize(
    "sizes",
    [[], [3], [10] * 100_000, [3 * LARGE_BODY + 5], [10, LARGE_BODY + 1, 10, LARGE_BODY, 5]],
    ids=["nothing", "short", "many", "long", "mixed"],
)
async def test_a_body_is_sent_in_parts_of_a_limited_size(sizes: list[int]) -> None:
    pieces = [bytes([65 + place % 26]) * size for place, size in enumerate(sizes)]
    writer = Writer()

    body = Pieces(pieces)
    await body.write(writer)  # type: ignore[arg-type]

    assert b"".join(writer.parts) == b"".join(pieces) == body.decode().encode()
    assert body.size == sum(sizes)
    assert all(0 < len(part) < 2 * LARGE_BODY for part in writer.parts)
    assert len(writer.parts) <= 2 + 2 * body.size // LARGE_BODY
