"""The protocol between the checking process and its clients. Standard library only, for the task service."""

import signal
import sys
from typing import Any, Final

PROGRAM: Final = (sys.executable, "-P", "-m", "podrelay.schemas.program")
"""The command of the process. Its optional argument is the number of idle seconds after which it ends."""
READY: Final = b"ready\n"
"""The first line that the process writes."""

OUT_OF_MEMORY: Final = 12
"""Exit code of the process if it exceeds its memory limit without being ended by a signal."""
TOO_MUCH: Final = frozenset({OUT_OF_MEMORY, -signal.SIGPROF, -signal.SIGABRT, -signal.SIGSEGV})
"""Exit codes that mean that a request took too much time, memory or stack. Others are not caused by the request."""

TOO_COMPLEX_CODE: Final = "too_complex"
"""Error code of an input that could not be checked within the limits."""
TOO_COMPLEX: Final[dict[str, Any]] = {
    "": {
        "code": TOO_COMPLEX_CODE,
        "message": "it cannot be checked against the schema within a second and 256 MiB",
        "data": {"path": []},
    }
}
