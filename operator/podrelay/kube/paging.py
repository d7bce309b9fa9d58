"""Reads lists page by page, all pages from one version of the collection.

The size of pages is limited in bytes: 500 records of 700 KiB in one response would use too much memory of the client,
and several times as much of the API server. The size of objects is not known in advance, so the first page is small,
each further one has as many objects as should fit, and if a response is still too large, it is dropped and a smaller
page is requested.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Final

import msgspec

from podrelay.kube.api import REQUEST_TIMEOUT_SECONDS, Api
from podrelay.kube.errors import AnswerTooLargeError

FIRST_PAGE: Final = 16
"""Number of objects in the first page: 16 MiB if all of them have the maximum size."""
LARGEST_PAGE: Final = 500
"""Maximum number of objects in a page."""
PAGE_BYTES: Final = 8 * 1024 * 1024
"""Target size of a page; it is in memory twice while it is decoded."""
_GROWTH: Final = 4
"""Maximum factor by which pages grow, because large objects may follow any number of small ones."""


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """A part of a list. Its items are views of the whole response and must not be kept."""

    metadata: _ListMetadata
    items: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(Page).decode


async def pages(client: Api, path: str, params: dict[str, str], timeout_seconds: float) -> AsyncIterator[Page]:
    """Yield the pages of a list; `params` select the objects, and `timeout_seconds` applies to each page.

    Raises:
        GoneError: the continue token has expired.
        ApiError, TimeoutError, TransportError: as for `Client.request`.
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
        del page  # it must not be in memory together with the next one
        if not following:
            return
        asked["continue"] = following


async def newest_version(client: Api, path: str, params: dict[str, str]) -> int:
    """Return the current version of a collection.

    Raises:
        as for `Client.request`.
    """
    asked = {**params, "limit": "1"}
    page = _decode(await client.request("GET", path, params=asked, timeout_seconds=REQUEST_TIMEOUT_SECONDS))
    return int(page.metadata.resource_version)


def _next_limit(limit: int, sizes: Iterable[int]) -> int:
    """Return how many objects to request after a page of objects with these sizes."""
    seen = tuple(sizes)
    most = min(LARGEST_PAGE, limit * _GROWTH)
    if not seen:
        return most
    # Between average and maximum: a single large object among many small ones may be the only one.
    expected = (sum(seen) / len(seen) + max(seen)) / 2
    return max(1, min(most, int(PAGE_BYTES / expected)))
