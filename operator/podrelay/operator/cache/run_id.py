"""The identity of one TaskRun: names are reused, UIDs are not."""

from typing import NamedTuple

from podrelay.kube.resources import Key


class RunId(NamedTuple):
    """One TaskRun, distinct from any other of the same name."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> Key:
        """The key of the run in the work queue."""
        return Key(self.namespace, self.name)
