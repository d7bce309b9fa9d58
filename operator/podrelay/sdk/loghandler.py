"""Lets the standard library's logging write into the record of the iteration."""

import logging
from collections.abc import Callable
from typing import Any

WriteLog = Callable[[str, str, Any, Any], None]
"""Takes kind (info or error), message, data and error."""


class RecordHandler(logging.Handler):
    """A handler for `logging.getLogger().addHandler(...)`; from ERROR on a line is an error, below it is an info.

    Args:
        write: takes each line.
    """

    def __init__(self, write: WriteLog) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; its logger and level go along as data."""
        try:
            error = record.exc_info[1] if record.exc_info else None
            kind = "error" if record.levelno >= logging.ERROR else "info"
            self._write(kind, record.getMessage(), {"logger": record.name, "level": record.levelname}, error)
        except Exception:  # noqa: BLE001 - as every handler does: logging must not break what it tells of
            self.handleError(record)
