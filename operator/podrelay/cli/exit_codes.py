"""Exit codes of `podrelay`, in addition to 0 and 1."""

from collections.abc import Mapping
from typing import Final

from podrelay.api import phases

OF_PHASE: Final[Mapping[str, int]] = {phases.SUCCEEDED: 0, phases.FAILED: 1, phases.ABORTED: 3}
"""The exit codes of commands that wait for a run, by its final phase."""
WRONG_USAGE: Final = 2
TIMED_OUT: Final = 124
"""The same as that of `timeout` (GNU coreutils)."""
INTERRUPTED: Final = 130
"""After Ctrl-C, as shells report it: 128 plus the number of SIGINT."""
