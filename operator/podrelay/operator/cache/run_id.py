"""The identity of one TaskRun: names are reused, UIDs are not."""

from typing import NamedTuple

from podrelay.kube.resources import Key
from podrelay.operator.objects.runs import TaskRun


class RunId(NamedTuple):
    """One TaskRun, distinct from any other of the same name."""

    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, run: TaskRun) -> "RunId":
        """Return the identity of a run."""
        return cls(run.metadata.namespace, run.metadata.name, run.metadata.uid)

    @property
    def key(self) -> Key:
        """The key of the run in the work queue."""
        return Key(self.namespace, self.name)
