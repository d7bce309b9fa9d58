"""Iterators that wait for data from the network, and that another thread can end at once."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, Self, TypeVar

T = TypeVar("T")


class Readable(Protocol):
    """A response whose body is being read: urllib3.HTTPResponse."""

    def shutdown(self) -> None:
        """End a read in which another thread waits."""

    def close(self) -> None:
        """Close the connection."""


class Cancellation:
    """A request to end a stream. Any thread may call `cancel`, only the reading thread may call the other methods."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._lock = threading.Lock()
        self._reading: Readable | None = None
        self._dependents: list[Cancellation] = []

    @property
    def is_set(self) -> bool:
        """Whether the stream must end."""
        return self._requested.is_set()

    def cancel(self) -> None:
        """End the stream: a thread that reads or waits returns at once."""
        self._requested.set()
        with self._lock:
            dependents = tuple(self._dependents)
            if self._reading is not None:
                _interrupt(self._reading)
        for dependent in dependents:
            dependent.cancel()

    def wait(self, seconds: float) -> None:
        """Wait, but only until the stream must end."""
        self._requested.wait(max(0.0, seconds))

    def dependent(self) -> "Cancellation":
        """Return a Cancellation that is cancelled with this one, and can also be cancelled alone."""
        child = Cancellation()
        with self._lock:
            self._dependents.append(child)
        if self.is_set:
            child.cancel()
        return child

    @contextmanager
    def reading(self, response: Readable) -> Iterator[None]:
        """Read `response` in the body; `cancel` interrupts the read. The response is closed at the end."""
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
    # If it has just been read to its end, there is nothing to interrupt.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        response.shutdown()


class Deadline:
    """The moment until which a caller waits, by the monotonic clock.

    Args:
        seconds: from now; None: never.
    """

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds

    def within(self, seconds: float) -> float:
        """Return how long the caller may still wait: at most `seconds`, 0 if the deadline is past."""
        return seconds if self._at is None else max(0.0, min(seconds, self._at - time.monotonic()))

    @property
    def is_past(self) -> bool:
        """Whether the deadline is past."""
        return self._at is not None and time.monotonic() >= self._at


class Stream(Iterator[T], Generic[T]):
    """An iterator over items as they arrive. Use it in a `with`, or close it, unless you read it to its end.

    One thread iterates; any thread may call `close`, which ends a waiting iteration.

    Args:
        produce: yields the items; it must end soon after the Cancellation that it gets is set.
    """

    def __init__(self, produce: Callable[[Cancellation], Generator[T]]) -> None:
        self._cancellation = Cancellation()
        self._items = produce(self._cancellation)

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """End the stream and close its connection."""
        self._cancellation.cancel()
        # If another thread is iterating, it sees the cancellation and ends by itself.
        with contextlib.suppress(ValueError):
            self._items.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
