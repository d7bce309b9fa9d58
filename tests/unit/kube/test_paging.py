"""Lists in pages that are limited by bytes, for objects of any size in any order."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.kube.connections import LARGEST_ANSWER
from podrelay.kube.errors import AnswerTooLargeError
from podrelay.kube.paging import FIRST_PAGE, LARGEST_PAGE, PAGE_BYTES, pages

KIB = 1024
SCALE = 64
LARGEST_OBJECT = 1024 * KIB


class Server:
    """A collection of objects of these sizes, numbered in the order of their names."""

    def __init__(self, sizes: list[int]) -> None:
        self.sizes = sizes
        self.answers: list[int] = []
        self.given_up: list[int] = []
        self.limits: list[int] = []

    async def request(self, _method: str, _path: str, *, params: dict[str, str], timeout_seconds: float) -> bytes:
        assert timeout_seconds == 7
        assert params["labelSelector"] == "a"
        start, limit = int(params.get("continue", "0")), int(params["limit"])
        self.limits.append(limit)
        part = self.sizes[start : start + limit]
        if sum(part) > LARGEST_ANSWER:
            self.given_up.append(sum(part))
            raise AnswerTooLargeError("too large")
        self.answers.append(sum(part))
        following = start + limit
        more = {"continue": str(following)} if following < len(self.sizes) else {}
        items = [padded(start + place, size) for place, size in enumerate(part)]
        return json.dumps({"metadata": {"resourceVersion": "10", **more}, "items": items}).encode()


def padded(number: int, size: int) -> dict[str, Any]:
    return {"n": number, "p": "x" * (size // SCALE)}


async def read(server: Server) -> list[int]:
    found: list[int] = []
    async for page in pages(server, "/things", {"labelSelector": "a"}, 7):  # type: ignore[arg-type]
        found += (json.loads(bytes(item))["n"] for item in page.items)
    return found


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scale down the sizes of objects and pages."""
    monkeypatch.setattr("podrelay.kube.paging.PAGE_BYTES", PAGE_BYTES // SCALE)


sizes = st.lists(
    st.tuples(st.sampled_from([KIB, 4 * KIB, 64 * KIB, 490 * KIB, LARGEST_OBJECT]), st.integers(1, 100)), max_size=4
).map(lambda runs: [size for size, count in runs for _ in range(count)])


@settings(deadline=None)
@given(sizes)
async def test_every_object_is_listed_once_in_order_within_the_memory_limit(
    sizes: list[int],
) -> None:
    server = Server(sizes)

    assert await read(server) == list(range(len(sizes)))
    assert max(server.answers, default=0) <= LARGEST_ANSWER


async def test_the_first_page_is_small_for_any_object_size() -> None:
    server = Server([LARGEST_OBJECT] * 100)

    await read(server)

    assert server.limits[0] == FIRST_PAGE
    assert server.answers[0] <= 16 * KIB * KIB
    assert max(server.answers[1:]) <= PAGE_BYTES * 1.1


async def test_records_of_490_kib_are_listed_in_pages_of_8_mib() -> None:
    server = Server([490 * KIB] * 700)

    await read(server)

    assert max(server.answers) <= PAGE_BYTES * 1.1
    assert len(server.answers) <= 700 * 490 * KIB / PAGE_BYTES * 1.1 + 1


async def test_small_objects_are_soon_listed_500_at_a_time() -> None:
    server = Server([2 * KIB] * 10_000)

    await read(server)

    assert server.limits[:4] == [16, 64, 256, LARGEST_PAGE]
    assert len(server.limits) <= 10_000 / LARGEST_PAGE + 4


async def test_large_objects_after_many_small_ones_are_listed_in_parts() -> None:
    server = Server([KIB] * 2000 + [490 * KIB] * 500)

    assert len(await read(server)) == 2500

    assert len(server.given_up) <= 3, "the API server has built these without use"


async def test_one_large_object_does_not_make_all_pages_small() -> None:
    server = Server([*[2 * KIB] * 500, LARGEST_OBJECT, *[2 * KIB] * 10_000])

    await read(server)

    assert len(server.limits) < 40


async def test_a_single_object_that_is_too_large_is_an_error() -> None:
    with pytest.raises(AnswerTooLargeError):
        await read(Server([LARGEST_ANSWER + 1]))
