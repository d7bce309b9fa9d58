"""What a task prints: it goes where it would have gone, and its end is kept for the record of the iteration."""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from podrelay.api import console, limits


class Console:
    """Keeps the end of what the task prints by Python: print, sys.stdout, sys.stderr, logging, tracebacks.

    What its child processes and C libraries print goes to the pod's log only.

    Args:
        limit: how many bytes are kept.
    """

    def __init__(self, limit: int = limits.CONSOLE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.RLock()  # a signal handler may print in the midst of it
        self._last = bytearray()
        self._dropped = 0
        self._streams: tuple[TextIO, ...] = ()

    def take(self, printed: bytes) -> None:
        """Take what is being printed."""
        with self._lock:
            self._last += printed
            if len(self._last) > 2 * self._limit:  # not with every line
                surplus = len(self._last) - self._limit
                del self._last[:surplus]
                self._dropped += surplus

    def tail(self) -> dict[str, Any] | None:
        """Return what is kept, as `podrelay.api.console.tail` does."""
        self._flush()
        with self._lock:
            return console.tail(bytes(self._last), self._dropped, self._limit)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to stdout and stderr of this process."""
        before = sys.stdout, sys.stderr
        self._streams = sys.stdout, sys.stderr = self._recorded(sys.stdout), self._recorded(sys.stderr)
        try:
            yield
        finally:
            self._flush()
            sys.stdout, sys.stderr = before

    def _flush(self) -> None:
        for stream in self._streams:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or None
                stream.flush()

    def _recorded(self, stream: TextIO) -> TextIO:
        stream = unrecorded(stream)  # of a parent that runs in this process, too
        # What is none is closed, or something that somebody's test has put there.
        return _Recorded(stream, self) if isinstance(stream, io.TextIOWrapper) else stream


def unrecorded(stream: TextIO) -> TextIO:
    """Return where a line goes that is not to be kept, as something else keeps it."""
    if not isinstance(stream, _Recorded):
        return stream
    stream.flush()  # so that the order stays
    return stream.original


class _Recorded(io.TextIOWrapper):
    """A text stream with the encoding and buffering of the one in whose place it is."""

    def __init__(self, original: io.TextIOWrapper, listener: Console) -> None:
        super().__init__(
            _Bytes(original, listener),  # type: ignore[arg-type]  # it writes all that it is given, as buffers do
            encoding=original.encoding,
            errors=original.errors,
            line_buffering=original.line_buffering,
            write_through=original.write_through,
        )
        self.original = original


class _Bytes(io.RawIOBase):
    """The way of the bytes: to the console, and to where they would have gone."""

    def __init__(self, original: io.TextIOWrapper, listener: Console) -> None:
        self._original = original
        self._listener = listener

    def writable(self) -> bool:
        """It is written only."""
        return True

    def isatty(self) -> bool:
        """Whether the original is a terminal."""
        return self._original.isatty()

    def fileno(self) -> int:
        """The original's."""
        return self._original.fileno()

    def write(self, data: Any) -> int:
        """Write all of it."""
        printed = bytes(data)
        self._listener.take(printed)
        self._original.flush()
        self._original.buffer.write(printed)
        self._original.buffer.flush()
        return len(printed)
