"""Iterators that wait for what comes from the network, and that another thread can end at once."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

T = TypeVar("T")


class Readable(Protocol):
    """A response whose body is being read: urllib3.HTTPResponse."""

    def shutdown(self) -> None:
        """End a read that another thread waits in."""

    def close(self) -> None:
        """Give the connection up."""


class Cancellation:
    """The wish that a stream ends. `cancel` may be called by any thread, the rest by the one that reads."""

    def __init__(self) -> None:
        self._wish = threading.Event()
        self._lock = threading.Lock()
        self._reading: Readable | None = None
        self._dependents: list[Cancellation] = []

    @property
    def is_set(self) -> bool:
        """Whether the stream is to end."""
        return self._wish.is_set()

    def cancel(self) -> None:
        """End the stream: whoever reads or waits returns at once."""
        self._wish.set()
        with self._lock:
            dependents = tuple(self._dependents)
            if self._reading is not None:
                _interrupt(self._reading)
        for dependent in dependents:
            dependent.cancel()

    def wait(self, seconds: float) -> None:
        """Wait, not longer than until the stream is to end."""
        self._wish.wait(max(0.0, seconds))

    def dependent(self) -> "Cancellation":
        """Return one that is cancelled with this one, and can be alone."""
        child = Cancellation()
        with self._lock:
            self._dependents.append(child)
        if self.is_set:
            child.cancel()
        return child

    @contextmanager
    def reading(self, response: Readable) -> Iterator[None]:
        """Read `response` inside; `cancel` interrupts that. It is closed at the end."""
        with self._lock:
            self._reading = response
            if self.is_set:
                _interrupt(response)
        try:
            yield
        finally:
            with self._lock:
                self._reading = None
            response.close()


def _interrupt(response: Readable) -> None:
    # It may have been read to its end just now; then there is nothing to interrupt.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        response.shutdown()


class Deadline:
    """A moment after which nobody waits any more, by the monotonic clock.

    Args:
        seconds: from now; None: never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def within(self, seconds: float) -> float:
        """Return how long may be waited: at most `seconds`, 0 when the moment is past."""
        return seconds if self._at is None else max(0.0, min(seconds, self._at - time.monotonic()))

    @property
    def is_past(self) -> bool:
        """Whether the moment is past."""
        return self._at is not None and time.monotonic() >= self._at


class Stream(Iterator[T], Generic[T]):
    """An iterator over what comes. Use it in a `with`, or close it, if you do not read it to its end.

    One thread iterates; any thread may call `close`, which ends an iteration that waits.

    Args:
        produce: returns the items; it ends soon after the cancellation that it gets is set.
    """

    def __init__(self, produce: Callable[[Cancellation], Generator[T]]) -> None:
        self._cancellation = Cancellation()
        self._items = produce(self._cancellation)

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """End it. The connection is given up."""
        self._cancellation.cancel()
        # Another thread is inside: it sees the wish, and ends by itself.
        with contextlib.suppress(ValueError):
            self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
