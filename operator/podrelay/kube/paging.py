"""Lists read page by page, all of one state of the collection."""

from collections.abc import AsyncIterator

import msgspec

from podrelay.kube.client import Client

PAGE_SIZE = 500


class _ListMetadata(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(default="", name="continue")


class Page(msgspec.Struct):
    """A part of a list."""

    metadata: _ListMetadata
    items: list[msgspec.Raw] = []


_decode = msgspec.json.Decoder(Page).decode


async def pages(client: Client, path: str, params: dict[str, str], timeout_seconds: float) -> AsyncIterator[Page]:
    """Yield the pages of a list, each asked for with `timeout_seconds`; `params` select what is in it.

    Raises:
        GoneError: the rest is too old to be read.
        ApiError, TimeoutError, aiohttp.ClientError: as `Client.request`.
    """
    asked = {**params, "limit": str(PAGE_SIZE)}
    while True:
        page = _decode(await client.request("GET", path, params=asked, timeout_seconds=timeout_seconds))
        yield page
        if not page.metadata.continue_:
            return
        asked["continue"] = page.metadata.continue_
