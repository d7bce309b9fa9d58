"""Leadership terms: this replica waits as a standby, leads, steps down and waits again, all within one process.

A term ends when the Lease is lost, when a worker notices that, or when the watches of some kind of object have been
broken for so long that another replica should try. The next term begins only when all tasks of the last one have ended:
they are cancelled, their connections are closed, and the operator waits for them. Requests that still reach the API
server after that are the same, and as harmless, as those of a process that was killed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from podrelay.operator.leader_election import LeadershipLostError

log = logging.getLogger(__name__)

BLIND_LEASES: Final = 2
"""A leader whose watches of some kind have been broken for so many Lease durations releases its Lease."""
RELEASE_SECONDS: Final = 2.0
"""How long to wait for the release of the Lease; otherwise it expires."""

Part = Coroutine[Any, Any, None]


class Lease(Protocol):
    """The interface of the leader election."""

    @property
    def duration_seconds(self) -> float:
        """The duration of the Lease."""

    async def acquire(self, may_lead: Callable[[], bool]) -> None:
        """Wait until this replica has acquired the Lease."""

    async def keep(self) -> None:
        """Keep the Lease, and return when it is lost."""

    async def release(self) -> None:
        """Release the Lease."""


class Watches(Protocol):
    """The interface of the watches."""

    async def wait_synced(self) -> None:
        """Wait until all objects have been listed once."""

    def can_see(self) -> bool:
        """Return whether this replica has the working watches that a leader needs."""

    def problem(self) -> str | None:
        """Return which watches are broken, as a message."""

    async def until_blind(self, seconds: float) -> str:
        """Wait until all watches of some kind have been broken for so long, and return the problem."""


class Leadership:
    """Leads whenever it can.

    Args:
        lease: the leader election.
        watches: the health of the watches.
        begin: called at the beginning of each term; returns the coroutines to run until its end.
        given_away: called with the reason when a leader with broken watches has released the Lease.
    """

    def __init__(
        self,
        lease: Lease,
        watches: Watches,
        begin: Callable[[], Sequence[Part]],
        given_away: Callable[[str], Part],
    ) -> None:
        self._lease = lease
        self._watches = watches
        self._begin = begin
        self._given_away = given_away
        self._is_blind = False

    async def run(self) -> None:
        """Run one term after the other until cancelled.

        Raises:
            ExceptionGroup: a term has failed with an error other than the loss of the Lease.
        """
        # A plan based on incomplete caches could start a pod that exists already.
        await self._watches.wait_synced()
        while True:
            await self._lease.acquire(self._may_lead)
            await self._lead()
            log.info("standing by")

    def _may_lead(self) -> bool:
        """Return whether the watches work; if not, do not request the Lease, and log that once."""
        can_see = self._watches.can_see()
        if can_see is self._is_blind:
            self._is_blind = not can_see
            if can_see:
                log.info("all watches work again; requesting the Lease")
            else:
                log.warning("not requesting the Lease until all watches work again: %s", self._watches.problem())
        return can_see

    async def _lead(self) -> None:
        parts = self._begin()
        kept = asyncio.create_task(self._lease.keep())  # starts first: without the Lease, nothing may be written
        blind = asyncio.create_task(self._watches.until_blind(BLIND_LEASES * self._lease.duration_seconds))
        work = asyncio.create_task(_together(parts))
        try:
            await asyncio.wait({kept, blind, work}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(work)  # while the Lease is still kept
            await _end(kept, blind)
        _raise_all_but_the_loss_of_the_lease(work)
        for task in (kept, blind):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if not blind.cancelled():
            await self._give_away(blind.result())

    async def _give_away(self, why: str) -> None:
        log.error("releasing the Lease, because another replica may have working watches: %s", why)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._lease.release()
        await self._given_away(why)


async def _together(parts: Sequence[Part]) -> None:
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(_unending(part))


async def _unending(part: Part) -> None:
    await part
    raise RuntimeError("a part of the operator has ended unexpectedly")


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_all_but_the_loss_of_the_lease(work: asyncio.Task[None]) -> None:
    error = None if work.cancelled() else work.exception()
    if isinstance(error, BaseExceptionGroup):
        _, error = error.split(LeadershipLostError)
    if error is not None:
        raise error
