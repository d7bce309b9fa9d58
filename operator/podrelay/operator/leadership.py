"""Leadership of the Lease: this replica stands by, leads, steps down and stands by again, all within one process.

A term ends when the Lease is lost, when a worker finds that it is, or when nothing was seen of some kind of object for
so long that somebody else should try. The next one begins only when everything of the last one has ended: whatever was
under way is cancelled, its connection closed, and waited for. What may still arrive at the API server then is what a
process that was killed leaves behind, and as harmless.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Protocol

from podrelay.operator.leader_election import LeadershipLostError

log = logging.getLogger(__name__)

BLIND_LEASES: Final = 2
"""A leader that has not seen anything of some kind for the duration of so many Leases gives its own away."""
RELEASE_SECONDS: Final = 2.0
"""So long is waited for the Lease to be given back; else it runs out by itself."""

Part = Coroutine[Any, Any, None]


class Lease(Protocol):
    """What is asked of the leader election."""

    @property
    def duration_seconds(self) -> float:
        """Its duration."""

    async def acquire(self, may_lead: Callable[[], bool]) -> None:
        """Wait until it is ours."""

    async def keep(self) -> None:
        """Keep it, and return when it is lost."""

    async def release(self) -> None:
        """Give it back."""


class Watches(Protocol):
    """What is asked of the watches."""

    async def wait_synced(self) -> None:
        """Wait until everything was listed once."""

    def can_see(self) -> bool:
        """Tell whether this replica could do the work."""

    def problem(self) -> str | None:
        """Return what is not seen, in words."""

    async def until_blind(self, seconds: float) -> str:
        """Wait until nothing of some kind was seen for so long, and return why not."""


class Leadership:
    """Leads whenever it can.

    Args:
        lease: decides who leads.
        watches: tell what can be seen.
        begin: called at the beginning of each term; returns what is to run until its end.
        given_away: called with the reason when a leader that is blind has given the Lease away.
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
        """Go from term to term until cancelled.

        Raises:
            ExceptionGroup: something of a term has failed in a way that is no loss of the Lease.
        """
        # A plan on half of the facts could start a pod that is there already.
        await self._watches.wait_synced()
        while True:
            await self._lease.acquire(self._may_lead)
            await self._lead()
            log.info("standing by")

    def _may_lead(self) -> bool:
        """Tell whether this replica can see; one that cannot leaves the Lease to others, and says so once."""
        can_see = self._watches.can_see()
        if can_see is self._is_blind:
            self._is_blind = not can_see
            if can_see:
                log.info("everything is seen again, the Lease is asked for")
            else:
                log.warning("the Lease is left to others until everything is seen again: %s", self._watches.problem())
        return can_see

    async def _lead(self) -> None:
        parts = self._begin()
        kept = asyncio.create_task(self._lease.keep())  # begins first: without it nothing may be written
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
        log.error("the Lease is given away, another replica may see more: %s", why)
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
    raise RuntimeError("a part of the operator has ended unasked")


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
