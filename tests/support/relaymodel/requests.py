"""Slow requests of an operator: held before or after they take effect, delivered late, or lost.

The operator's coroutines are driven by hand. A coroutine whose request is held stops there, while everything else
continues: events are seen, time passes, users act. This models a slow admission webhook, a lost response, and an
operator that dies between a write and its response."""

from collections.abc import Callable, Coroutine, Generator
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from podrelay.kube.api import WRITE_TIMEOUT_SECONDS, Api
from podrelay.kube.errors import ApiError
from podrelay.schemas import program
from podrelay.schemas.verdict import Verdict
from tests.support.modelapi import ModelApi

T = TypeVar("T")

_VALIDATED_WITHIN = timedelta(seconds=WRITE_TIMEOUT_SECONDS)


class _Hold:
    """The awaitable of a held coroutine, which its driver resumes."""

    def __await__(self) -> Generator["_Hold", None, None]:
        yield self


class Connection(Api):
    """The connection of one operator to the API server.

    Attributes:
        holds: where the next requests are held: "before" or "after" each takes effect, or "inside", by a validating
            webhook; None: not at all.
        driven: the coroutine that is running now.
        writes: how many writes have been requested.
    """

    def __init__(self, api: ModelApi) -> None:
        self._api = api
        self.holds: list[str | None] = []
        self.driven: Held | None = None
        self.writes = 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        self.writes += method != "GET"
        return await self._request(lambda: self._api.request(method, path, **options))

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Check an input with the code of the process of `podrelay.schemas`."""
        request = program.Request(_raw(schema), _raw(input) if input is not None else msgspec.Raw())
        verdict = program.check(request)
        await self._hold("after")
        return verdict

    async def _request(self, send: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        where = self.holds.pop(0) if self.holds else None
        if where == "inside":
            send = self._validated_late(send, self._api.now)
        if where in {"before", "inside"} and self.driven is not None:
            driven = self.driven
            driven.unsent = send
            await _Hold()
            driven.unsent = None
        try:
            return await send()
        finally:
            if where == "after":
                await _Hold()

    def _validated_late(
        self, send: Callable[[], Coroutine[Any, Any, bytes]], stamp: datetime
    ) -> Callable[[], Coroutine[Any, Any, bytes]]:
        """Return a request whose object has its time of creation already, and waits for validating webhooks."""

        async def finish() -> bytes:
            if self._api.now > stamp + _VALIDATED_WITHIN:
                raise ApiError(504, "Timeout", "request did not complete within requested timeout")
            self._api.stamp = stamp
            try:
                return await send()
            finally:
                self._api.stamp = None

        return finish

    async def _hold(self, where: str) -> None:
        if self.holds and self.holds.pop(0) == where:
            await _Hold()


class Held:
    """A coroutine that was started, and waits for a response.

    Attributes:
        unsent: the request that has not taken effect yet, and still may after its sender has timed out.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], connection: Connection) -> None:
        self.unsent: Callable[[], Coroutine[Any, Any, bytes]] | None = None
        self._coroutine = coroutine
        self._connection = connection

    @classmethod
    def begin(cls, coroutine: Coroutine[Any, Any, None], connection: Connection) -> "Held | None":
        """Run a coroutine until it is held; return None if it has ended.

        Raises:
            Exception: raised by the coroutine.
        """
        held = cls(coroutine, connection)
        return held if held._send() else None

    def deliver(self) -> bool:
        """Let the request take effect and its response arrive; return whether it is held again.

        Raises:
            Exception: raised by the coroutine.
        """
        return self._send()

    def lose(self) -> bool:
        """Let the request time out; return whether the coroutine is held again.

        Raises:
            Exception: raised by the coroutine.
        """
        self._connection.driven = self
        try:
            self._coroutine.throw(TimeoutError())
        except StopIteration:
            return False
        return True

    def drop(self) -> Callable[[], Coroutine[Any, Any, bytes]] | None:
        """End the coroutine as if its process had died; return the request that may still take effect."""
        unsent = self.unsent
        self._coroutine.close()
        return unsent

    def _send(self) -> bool:
        self._connection.driven = self
        try:
            self._coroutine.send(None)
        except StopIteration:
            return False
        return True


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
