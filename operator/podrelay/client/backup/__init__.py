"""Backups of a namespace: the files that `podrelay export` writes and `podrelay import` restores.

An export is a stream of JSON objects, one per line: a header, the TaskDefinitions, the TaskRuns with their status, the
TaskIterations, the TaskSignals and TaskSchedules with their status, all as of one moment, and an end. Without the end,
the export was cut off.

`exporting` writes it, `reading` and `spool` read it (and the output of kubectl), `restoring` returns the object to
create for each exported one, and `importing` creates it.
"""

from typing import Final

from podrelay.api import names
from podrelay.client.errors import ServiceError

FORMAT: Final = 2
"""The format of the export. An import reads this format and earlier ones; format 1 had no signals and schedules."""
HEADER: Final = "Export"
END: Final = "ExportEnd"
KINDS: Final = {
    "TaskDefinition": names.TASK_DEFINITIONS,
    "TaskRun": names.TASK_RUNS,
    "TaskIteration": names.TASK_ITERATIONS,
    "TaskSignal": names.TASK_SIGNALS,
    "TaskSchedule": names.TASK_SCHEDULES,
}
"""The plural of each kind, in the order in which an import creates the objects."""


class BackupError(ServiceError):
    """A backup cannot be written or read. An import that raises this has changed nothing."""

    reason = "Backup"
    code = "BackgroundTasks/Backup"
