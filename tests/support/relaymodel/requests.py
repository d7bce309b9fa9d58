"""Requests of an operator that take their time: held before they take effect, or after it, delivered late, or lost.

The operator's coroutines are driven by hand. One that asks the API server while its connection is to hold requests
stops there, and others go on: events are seen, time passes, users act. This is how a slow admission webhook, a lost
answer, and an operator that dies between a write and its answer look from outside.
"""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

import msgspec

from podrelay.kube.api import Api
from podrelay.schemas import program
from podrelay.schemas.verdict import Verdict
from tests.support.modelapi import ModelApi

T = TypeVar("T")


class _Hold:
    """What a held coroutine waits for; whoever drives it goes on with it."""

    def __await__(self) -> Generator["_Hold", None, None]:
        yield self


class Connection(Api):
    """The API server as one operator reaches it.

    Attributes:
        holds: where the next requests are held: each "before" it takes effect or "after" it; None: not at all.
        driven: the coroutine that runs now.
        writes: how many writes the API server has been asked for.
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
        """Check an input as the process of `podrelay.schemas` does, with the same code."""
        request = program.Request(_raw(schema), _raw(input) if input is not None else msgspec.Raw())
        verdict = program.check(request)
        await self._hold("after")
        return verdict

    async def _request(self, send: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        where = self.holds.pop(0) if self.holds else None
        if where == "before" and self.driven is not None:
            driven = self.driven
            driven.unsent = send
            await _Hold()
            driven.unsent = None
        try:
            return await send()
        finally:
            if where == "after":
                await _Hold()

    async def _hold(self, where: str) -> None:
        if self.holds and self.holds.pop(0) == where:
            await _Hold()


class Held:
    """A coroutine that has been begun, and waits for an answer.

    Attributes:
        unsent: the request that has not taken effect; it may still, if nobody waits for it any more.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], connection: Connection) -> None:
        self.unsent: Callable[[], Coroutine[Any, Any, bytes]] | None = None
        self._coroutine = coroutine
        self._connection = connection

    @classmethod
    def begin(cls, coroutine: Coroutine[Any, Any, None], connection: Connection) -> "Held | None":
        """Run a coroutine until it is held; return None if it has ended.

        Raises:
            whatever the coroutine raises.
        """
        held = cls(coroutine, connection)
        return held if held._send() else None

    def deliver(self) -> bool:
        """Let the request take effect and its answer come; return whether it is held again.

        Raises:
            whatever the coroutine raises.
        """
        return self._send()

    def lose(self) -> bool:
        """Let the wait for the answer run out; return whether the coroutine is held again.

        Raises:
            whatever the coroutine raises.
        """
        self._connection.driven = self
        try:
            self._coroutine.throw(TimeoutError())
        except StopIteration:
            return False
        return True

    def drop(self) -> Callable[[], Coroutine[Any, Any, bytes]] | None:
        """End the coroutine as a process that dies does; return the request that may still take effect."""
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
