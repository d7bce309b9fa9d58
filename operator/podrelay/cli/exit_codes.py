"""Exit codes of `podrelay`, besides 0 and 1."""

from collections.abc import Mapping
from typing import Final

from podrelay.api import phases

OF_PHASE: Final[Mapping[str, int]] = {phases.SUCCEEDED: 0, phases.FAILED: 1, phases.ABORTED: 3}
"""Of commands that wait for a run, by its final phase."""
WRONG_USAGE: Final = 2
TIMED_OUT: Final = 124
"""As of `timeout` (GNU coreutils)."""
INTERRUPTED: Final = 130
"""After Ctrl-C, as shells report it: 128 and the number of SIGINT."""
