"""What the process that checks, and whoever asks it, have to agree on. Standard library only: the task service asks."""

import signal
import sys
from typing import Any, Final

PROGRAM: Final = (sys.executable, "-P", "-m", "podrelay.schemas.program")
"""Takes as its only argument, if there is one, after how many idle seconds it ends."""
READY: Final = b"ready\n"
"""What it says first."""

OUT_OF_MEMORY: Final = 12
"""Its exit code, where it is not a signal that ends it over its limits."""
TOO_MUCH: Final = frozenset({OUT_OF_MEMORY, -signal.SIGPROF, -signal.SIGABRT, -signal.SIGSEGV})
"""How it ends over a request that takes too much time, memory or stack. Any other end is not the request's."""

TOO_COMPLEX_CODE: Final = "too_complex"
"""Code of an input of which it cannot be told in time whether, or where, it does not fit."""
TOO_COMPLEX: Final[dict[str, Any]] = {
    "": {
        "code": TOO_COMPLEX_CODE,
        "message": "whether it fits the schema cannot be told within a second and 256 MiB",
        "data": {"path": []},
    }
}
