"""The input of the planner for signals: frozen values only."""

from datetime import datetime

import msgspec

from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import TaskSignal


class SignalView(msgspec.Struct, frozen=True):
    """All that is known about one signal."""

    signal: TaskSignal
    run: TaskRun | None
    definition: TaskDefinition | None
    now: datetime
    created_by: str | None = None
    """Who created the run, or the run that it descends from; None if unknown."""
    has_decided: bool = False
    """Whether its sender has decided about the run already, with another signal of this name."""
    payload_problem: str | None = None
    """Why its payload does not fit the schema of the definition; empty if it fits, None if it was not checked yet."""

    @property
    def run_is_original(self) -> bool:
        """Whether the run was not restored from a backup."""
        return self.run is None or self.run.metadata.annotations.imported is None
