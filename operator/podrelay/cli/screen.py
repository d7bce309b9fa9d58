"""Prints lines on stderr and, on a terminal, one live line below them."""

import shutil
import threading
from typing import TextIO

from podrelay.api import limits

_CLEAR = "\r\x1b[2K"


class Screen:
    """Prints lines; several threads can use it at once.

    Args:
        stream: usually stderr.
        is_live: whether to show a live line; only a terminal can show one.
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
        """Replace the live line, or remove it if `text` is empty; without a live line, print `text` as a line."""
        if not self._is_live:
            if text:
                self.line(text)
            return
        with self._lock:
            # A live line that wraps could not be cleared.
            self._live = limits.cut(text, max(20, shutil.get_terminal_size().columns - 1))
            self._stream.write(f"{_CLEAR}{self._live}")
            self._stream.flush()
