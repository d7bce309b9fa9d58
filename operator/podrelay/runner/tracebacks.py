"""Prints tracebacks of a task author's code."""

import os
import sys
from types import TracebackType
from typing import Final

_PODRELAY: Final = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120 - pods do not need pathlib
_PYTHON: Final = os.path.dirname(os.__file__)  # noqa: PTH120
_ABOVE: Final = (f"{_PODRELAY}/", f"{_PYTHON}/asyncio/", f"{_PYTHON}/importlib/", "<frozen importlib")
"""What calls the author's code, or imports it; asyncio calls coroutines."""


def show(error: BaseException) -> None:
    """Print the traceback of an exception and its causes to stderr, without what calls the author's code.

    The tracebacks of these exceptions are shortened.
    """
    import traceback  # noqa: PLC0415 - most pods do not need it

    one: BaseException | None = error
    shortened: set[int] = set()
    while one is not None and id(one) not in shortened:
        shortened.add(id(one))
        of_the_author = _of_the_author(one.__traceback__)
        if of_the_author is not None or one.__cause__ is not None:
            one.__traceback__ = of_the_author
        one = one.__cause__ or one.__context__
    traceback.print_exception(error, file=sys.stderr)


def _of_the_author(rest: TracebackType | None) -> TracebackType | None:
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_ABOVE):
        rest = rest.tb_next
    return rest
