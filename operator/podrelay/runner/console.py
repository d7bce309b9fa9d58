"""Captures a task's output: it is still printed, and the end of it is kept for the record of the iteration."""

import contextlib
import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from podrelay.api import console, limits


class Console:
    """Keeps the end of the task's output from Python: print, sys.stdout, sys.stderr, logging, tracebacks.

    Output of child processes and C libraries goes only to the pod's log.

    Args:
        limit: how many bytes to keep.
    """

    def __init__(self, limit: int = limits.CONSOLE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.RLock()  # reentrant, because a signal handler may print while it is held
        self._last = bytearray()
        self._dropped = 0
        self._streams: tuple[TextIO, ...] = ()

    def take(self, printed: bytes) -> None:
        """Add output."""
        with self._lock:
            self._last += printed
            if len(self._last) > 2 * self._limit:  # so that not every line costs a copy
                surplus = len(self._last) - self._limit
                del self._last[:surplus]
                self._dropped += surplus

    def tail(self) -> dict[str, Any] | None:
        """Return the kept output in the form of `podrelay.api.console.tail`."""
        self._flush()
        with self._lock:
            return console.tail(bytes(self._last), self._dropped, self._limit)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Capture stdout and stderr of this process."""
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
        stream = unrecorded(stream)  # may be captured by the run of a parent in the same process
        # Another type of stream is closed, or was set by a test.
        return _Recorded(stream, self) if isinstance(stream, io.TextIOWrapper) else stream


def unrecorded(stream: TextIO) -> TextIO:
    """Return the original of a captured stream, for lines that must not be kept twice."""
    if not isinstance(stream, _Recorded):
        return stream
    stream.flush()  # to keep the order of lines
    return stream.original


class _Recorded(io.TextIOWrapper):
    """A text stream with the encoding and buffering of the stream that it replaces."""

    def __init__(self, original: io.TextIOWrapper, listener: Console) -> None:
        super().__init__(
            _Bytes(original, listener),  # type: ignore[arg-type]  # it writes all data at once, as buffers do
            encoding=original.encoding,
            errors=original.errors,
            line_buffering=original.line_buffering,
            write_through=original.write_through,
        )
        self.original = original


class _Bytes(io.RawIOBase):
    """Writes bytes both to the console and to the original stream."""

    def __init__(self, original: io.TextIOWrapper, listener: Console) -> None:
        self._original = original
        self._listener = listener

    def writable(self) -> bool:
        """Return True: the stream is write-only."""
        return True

    def isatty(self) -> bool:
        """Return whether the original is a terminal."""
        return self._original.isatty()

    def fileno(self) -> int:
        """Return the file descriptor of the original."""
        return self._original.fileno()

    def write(self, data: Any) -> int:
        """Write all data."""
        printed = bytes(data)
        self._listener.take(printed)
        self._original.flush()
        self._original.buffer.write(printed)
        self._original.buffer.flush()
        return len(printed)
