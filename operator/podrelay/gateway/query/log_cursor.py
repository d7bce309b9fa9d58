"""Where a subscriber is in the lines of a run, so that it can continue after a lost connection. Pure.

Lines come from several pods, one after the other, and of each pod from two sources: what the task has logged, in the
record, and what the pod has printed. For each source the cursor has the positions in the newest pods; everything of
older ones has been sent.
"""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from podrelay.gateway.errors import ValidationError
from podrelay.gateway.query.attempts import place_of

V = TypeVar("V")

MAX_LENGTH: Final = 4096
"""Characters of a cursor; one of the longest names takes a third of them."""
_PODS: Final = 4
"""Pods of each source whose positions are kept."""

Place = tuple[bool, int, int]


class Printed(msgspec.Struct, frozen=True, array_like=True):
    """The position in what a pod has printed.

    Attributes:
        at: the time of the last line, by the clock of the node; None before the first line.
        same: how many lines with this time were sent.
        kept: how many lines were sent from the record, after the pod was deleted.
    """

    at: datetime | None = None
    same: int = 0
    kept: int = 0


class _Track(msgspec.Struct, array_like=True):
    """The positions in one source."""

    logged: dict[str, int] = {}
    printed: dict[str, Printed] = {}
    logged_before: Place | None = None
    printed_before: Place | None = None


class _Cursor(msgspec.Struct, array_like=True):
    uid: str
    track: _Track


@dataclass
class Positions:
    """The positions in all pods of a run.

    Attributes:
        uid: UID of the run.
    """

    uid: str
    _track: _Track = field(default_factory=_Track)

    @classmethod
    def read(cls, cursor: str, uid: str) -> "Positions":
        """Return the positions of a cursor.

        Raises:
            ValidationError: it is not a cursor, or belongs to another run.
        """
        try:
            if len(cursor) > MAX_LENGTH:
                raise ValueError("too long")
            data = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
            found = msgspec.json.decode(data, type=_Cursor)
            if any(printed.at is not None and printed.at.tzinfo is None for printed in found.track.printed.values()):
                raise ValueError("a time without a zone")
        except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
            raise ValidationError("This is not a cursor of a log: use the cursor of a line.", "after") from error
        if found.uid != uid:
            raise ValidationError("The cursor belongs to the log of another task.", "after")
        return cls(uid, found.track)

    def copy(self) -> "Positions":
        """Return an independent copy."""
        return Positions(self.uid, msgspec.json.decode(msgspec.json.encode(self._track), type=_Track))

    @property
    def cursor(self) -> str:
        """The cursor of these positions."""
        encoded = msgspec.json.encode(_Cursor(self.uid, self._track))
        return base64.urlsafe_b64encode(encoded).decode().rstrip("=")

    def logged(self, pod: str) -> int | None:
        """Return how many lines of the record were sent, with those that it has dropped; None: all of them."""
        return _known(self._track.logged, self._track.logged_before, pod, 0)

    def printed(self, pod: str) -> Printed | None:
        """Return the position in what a pod has printed; None: everything was sent."""
        return _known(self._track.printed, self._track.printed_before, pod, Printed())

    def has_logged(self, pod: str, lines: int) -> None:
        """Note that the first lines of a record were sent."""
        self._track.logged_before = _note(self._track.logged, self._track.logged_before, pod, lines)

    def has_printed(self, pod: str, at: datetime | None) -> None:
        """Note that the next line of a pod was sent."""
        before = self.printed(pod) or Printed()
        now = Printed(at, before.same + 1 if at == before.at else 1, before.kept)
        self._track.printed_before = _note(self._track.printed, self._track.printed_before, pod, now)

    def has_kept(self, pod: str, lines: int) -> None:
        """Note that the first lines of the output in a record were sent."""
        before = self.printed(pod) or Printed()
        now = Printed(before.at, before.same, lines)
        self._track.printed_before = _note(self._track.printed, self._track.printed_before, pod, now)


def _known(track: dict[str, V], before: Place | None, pod: str, start: V) -> V | None:
    if pod in track:
        return track[pod]
    return None if before is not None and place_of(pod) <= before else start


def _note(track: dict[str, V], before: Place | None, pod: str, value: V) -> Place | None:
    """Store a position, forget that of the oldest pod if there are too many, and return the newest forgotten place."""
    place = place_of(pod)
    if pod not in track and before is not None and place <= before:
        return before
    track[pod] = value
    while len(track) > _PODS:
        oldest = min(track, key=place_of)
        del track[oldest]
        before = max(before or place_of(oldest), place_of(oldest))
    return before
