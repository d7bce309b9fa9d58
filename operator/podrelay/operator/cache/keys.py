"""What the operator calls a TaskRun: by its name, as the work queue does, or by its UID, which is never used again."""

from typing import NamedTuple


class Key(NamedTuple):
    """Names one TaskRun; what the work queue holds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class RunId(NamedTuple):
    """One TaskRun for ever: a name may be used again, a UID is not."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> Key:
        """What the work queue calls it."""
        return Key(self.namespace, self.name)
