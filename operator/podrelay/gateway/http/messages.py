"""Messages of the protocol graphql-transport-ws, whose structure is checked before strawberry reads them."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from strawberry.aiohttp.views import AiohttpWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived


class _Init(msgspec.Struct, tag_field="type", tag="connection_init"):
    payload: dict[str, Any] | None = None


class _Ping(msgspec.Struct, tag_field="type", tag="ping"):
    pass


class _Pong(msgspec.Struct, tag_field="type", tag="pong"):
    pass


class _Operation(msgspec.Struct, rename="camel"):
    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None


class _Subscribe(msgspec.Struct, tag_field="type", tag="subscribe"):
    id: str
    payload: _Operation


class _Complete(msgspec.Struct, tag_field="type", tag="complete"):
    id: str


class CheckedSocket(AiohttpWebSocketAdapter):
    """Closes a connection with 4400 if a message is not part of the protocol, instead of raising an internal error."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Yield each message."""
        async for message in super().iter_json(ignore_parsing_errors=ignore_parsing_errors):
            try:
                msgspec.convert(message, _Init | _Ping | _Pong | _Subscribe | _Complete)
            except msgspec.ValidationError as error:
                raise NonJsonMessageReceived from error
            yield message
