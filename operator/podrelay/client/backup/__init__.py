"""Backups of a namespace: what `podrelay export` writes and `podrelay import` restores.

An export is a stream of JSON objects, one a line: a header, the TaskDefinitions, the TaskRuns with their status, the
TaskIterations, all as of one moment, and an end, without which it is known to be cut off.

`exporting` writes it, `reading` and `spool` read it (and what kubectl writes, too), `restoring` says what is to be
created of each object, and `importing` does it.
"""

from typing import Final

from podrelay.api import names
from podrelay.client.errors import ServiceError

FORMAT: Final = 1
"""Of the export. An import reads this one and those before it."""
HEADER: Final = "Export"
END: Final = "ExportEnd"
KINDS: Final = {
    "TaskDefinition": names.TASK_DEFINITIONS,
    "TaskRun": names.TASK_RUNS,
    "TaskIteration": names.TASK_ITERATIONS,
}
"""By kind the plural, in the order in which they are created."""


class BackupError(ServiceError):
    """A backup cannot be written, or is none that can be read; nothing was changed by an import that says so."""

    reason = "Backup"
    code = "BackgroundTasks/Backup"
