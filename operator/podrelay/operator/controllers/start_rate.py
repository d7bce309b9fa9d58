"""Limits how many runs of schedules are created in a second: at a full hour, a thousand of them may be due."""

import asyncio


class StartRate:
    """Gives permissions at even distances, in the order of the calls.

    Args:
        per_second: how many permissions are given in a second.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = 0.0

    async def wait(self) -> None:
        """Wait for a permission."""
        loop = asyncio.get_running_loop()
        at = max(self._next, loop.time())
        self._next = at + self._interval
        await asyncio.sleep(at - loop.time())
