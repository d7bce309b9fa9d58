"""Lists read page by page, all of one state of the collection.

Pages are cut by bytes: 500 records of 700 KiB in one answer would take the memory of whoever asks, and several times as
much of the API server. How large objects are is known only when some were seen, so the first page is small, each
further one takes what should fit, and an answer that is too large all the same is given up and asked for in parts.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from podrelay.kube.api import REQUEST_TIMEOUT_SECONDS, Api
from podrelay.kube.errors import AnswerTooLargeError

FIRST_PAGE: Final = 16
"""Objects in the first page: 16 MiB, should all of them be as large as objects can be."""
LARGEST_PAGE: Final = 500
"""Objects in a page, however small they are."""
PAGE_BYTES: Final = 8 * 1024 * 1024
"""What a page should have; it is in memory twice while it is decoded."""
_GROWTH: Final = 4
"""Pages grow by such steps: large objects may follow upon any number of small ones."""


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """A part of a list. Its items are views of the whole answer: nobody may keep them."""

    metadata: _ListMetadata
    items: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(Page).decode


async def pages(client: Api, path: str, params: dict[str, str], timeout_seconds: float) -> AsyncIterator[Page]:
    """Yield the pages of a list, each asked for with `timeout_seconds`; `params` select what is in it.

    Raises:
        GoneError: the rest is too old to be read.
        ApiError, TimeoutError, TransportError: as `Client.request`.
    """
    asked, limit = dict(params), FIRST_PAGE
    while True:
        asked["limit"] = str(limit)
        try:
            page = _decode(await client.request("GET", path, params=asked, timeout_seconds=timeout_seconds))
        except AnswerTooLargeError:
            if limit == 1:
                raise
            limit = max(1, min(FIRST_PAGE, limit // _GROWTH))
            continue
        limit, following = _next_limit(limit, map(len, page.items)), page.metadata.continue_
        yield page
        del page  # it is not to be in memory beside the next one
        if not following:
            return
        asked["continue"] = following


async def newest_version(client: Api, path: str, params: dict[str, str]) -> int:
    """Return the version that a collection has at this moment.

    Raises:
        as `Client.request`.
    """
    asked = {**params, "limit": "1"}
    page = _decode(await client.request("GET", path, params=asked, timeout_seconds=REQUEST_TIMEOUT_SECONDS))
    return int(page.metadata.resource_version)


def _next_limit(limit: int, sizes: Iterable[int]) -> int:
    """Return how many objects to ask for after a page of objects with these sizes."""
    seen = tuple(sizes)
    most = min(LARGEST_PAGE, limit * _GROWTH)
    if not seen:
        return most
    # Between the two: one large object among many small ones may have been the only one.
    expected = (sum(seen) / len(seen) + max(seen)) / 2
    return max(1, min(most, int(PAGE_BYTES / expected)))
