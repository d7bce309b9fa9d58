"""The identity of one TaskRun: a name may be used again, a UID is not."""

from typing import NamedTuple

from podrelay.kube.resources import Key


class RunId(NamedTuple):
    """One TaskRun, distinct from any other of the same name."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> Key:
        """What the work queue calls it."""
        return Key(self.namespace, self.name)
