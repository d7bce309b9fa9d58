"""A handler of the standard logging module that writes into the record of the iteration."""

import logging
from collections.abc import Callable
from typing import Any

WriteLog = Callable[[str, str, Any, Any], None]
"""Called with kind (info or error), message, data and error."""


class RecordHandler(logging.Handler):
    """A handler for `logging.getLogger().addHandler(...)`: level ERROR and above becomes error, lower levels info.

    Args:
        write: called with each line.
    """

    def __init__(self, write: WriteLog) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, with its logger and level as data."""
        try:
            error = record.exc_info[1] if record.exc_info else None
            kind = "error" if record.levelno >= logging.ERROR else "info"
            self._write(kind, record.getMessage(), {"logger": record.name, "level": record.levelname}, error)
        except Exception:  # noqa: BLE001 - as in every handler: an error in logging must not stop the program
            self.handleError(record)
