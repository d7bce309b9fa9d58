"""Lines for people on stderr, and, on a terminal, one live line below them."""

import shutil
import threading
from typing import TextIO

from podrelay.api import limits

_CLEAR = "\r\x1b[2K"


class Screen:
    """Where lines are printed; for several threads at once.

    Args:
        stream: usually stderr.
        is_live: whether there is a live line; only a terminal can have one.
    """

    def __init__(self, stream: TextIO, *, is_live: bool) -> None:
        self._stream = stream
        self._is_live = is_live
        self._live = ""
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Print a line above the live one."""
        with self._lock:
            self._stream.write(f"{_CLEAR if self._live else ''}{text}\n{self._live}")
            self._stream.flush()

    def live(self, text: str) -> None:
        """Replace the live line, "" removes it; without a terminal it is printed as a line."""
        if not self._is_live:
            if text:
                self.line(text)
            return
        with self._lock:
            # A live line that wraps could not be cleared any more.
            self._live = limits.cut(text, max(20, shutil.get_terminal_size().columns - 1))
            self._stream.write(f"{_CLEAR}{self._live}")
            self._stream.flush()
