"""What the API server's clock shows, according to the Date headers of its responses.

A Date header has a resolution of one second (RFC 9110, section 6.6.1), and is written between the request and the
receipt of the response. So each response limits the offset between that clock and the boot clock of this machine to an
interval.
"""

import logging
import math
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from podrelay.operator.clocks import boot_clock

log = logging.getLogger(__name__)

RESOLUTION_SECONDS: Final = 1.0
TOLERANCE_SECONDS: Final = 1.0
"""How far two intervals may be apart. Clocks that are synchronised by NTP differ by milliseconds."""
_KEPT: Final = 3
_NEEDED: Final = 2
"""Responses that must agree before the clock is trusted."""


class ServerClock:
    """The offset of the API server's clock, or of several API servers whose clocks agree.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = boot_clock) -> None:
        self._clock = clock
        self._offsets: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def observe(self, date: str, seconds: float) -> None:
        """Process the Date header of a response that has just been received.

        Args:
            date: the header.
            seconds: the time since the request was sent.
        """
        try:
            shown = parsedate_to_datetime(date).timestamp() - self._clock()
        except ValueError:
            return
        offset = (shown, shown + RESOLUTION_SECONDS + seconds)
        if self._offsets and not _agree(self._offsets[-1], offset):
            if self._is_trusted:
                log.warning(
                    "the API server's clock has jumped, or several API servers disagree about the time",
                    extra={"seconds": round(offset[0] - self._offsets[-1][0], 1)},
                )
            self._offsets.clear()
        self._offsets.append(offset)

    @property
    def _is_trusted(self) -> bool:
        return len(self._offsets) >= _NEEDED

    def seconds_ahead(self) -> float:
        """Return how far it is at least ahead of this machine's wall clock; NaN if it is not trusted."""
        earliest = self.earliest(self._clock())
        return (earliest - datetime.now(UTC)).total_seconds() if earliest is not None else math.nan

    def earliest(self, at: float) -> datetime | None:
        """Return the earliest time that the API server's clock can show when the boot clock shows `at`.

        None if the clock is not trusted: there were too few responses, or its time has just jumped.
        """
        if not self._is_trusted:
            return None
        return datetime.fromtimestamp(at + min(lowest for lowest, _ in self._offsets), UTC)

    def latest(self, at: float) -> datetime | None:
        """Return the latest time that the API server's clock can show when the boot clock shows `at`.

        None if the clock is not trusted, as for `earliest`.
        """
        if not self._is_trusted:
            return None
        return datetime.fromtimestamp(at + max(highest for _, highest in self._offsets), UTC)


def _agree(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] <= other[1] + TOLERANCE_SECONDS and other[0] <= one[1] + TOLERANCE_SECONDS
