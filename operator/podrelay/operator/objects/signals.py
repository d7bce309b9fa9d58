"""The projection of a TaskSignal. Its payload is not kept, only its size."""

from datetime import datetime
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.api.signal_times import sent_at
from podrelay.operator.objects.metadata import Metadata, Projection

PENDING: Final = "Pending"
CONSUMED: Final = "Consumed"
REJECTED: Final = "Rejected"
APPROVE: Final = "Approve"
REJECT: Final = "Reject"

_NO_PAYLOAD: Final = msgspec.Raw()


class SignalAnnotations(msgspec.Struct, frozen=True):
    """The annotations of a signal that the operator reads."""

    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    restored_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_RESTORED_BY)
    sent_at: str | None = msgspec.field(default=None, name=names.ANNOTATION_SENT_AT)


class SignalMetadata(Metadata, frozen=True):
    """Identity of a signal, and who sent it."""

    annotations: SignalAnnotations = SignalAnnotations()


class TaskSignalSpec(Projection, frozen=True):
    """What is sent, and to which run."""

    task_run: str
    signal: str
    payload: msgspec.Raw = _NO_PAYLOAD
    decision: str | None = None
    groups: tuple[str, ...] = ()
    size: int = msgspec.field(default=0, name="podrelay.dev/size")
    """Bytes of the payload, as it is stored."""

    def __post_init__(self) -> None:
        """Keep only the size of the payload."""
        msgspec.structs.force_setattr(self, "size", len(self.payload) or self.size)
        msgspec.structs.force_setattr(self, "payload", _NO_PAYLOAD)


class TaskSignalStatus(Projection, frozen=True):
    """What became of the signal."""

    phase: str = PENDING
    reason: str | None = None


class TaskSignal(Projection, frozen=True):
    """An event for a run."""

    metadata: SignalMetadata
    spec: TaskSignalSpec
    status: TaskSignalStatus = TaskSignalStatus()

    @property
    def is_pending(self) -> bool:
        """Whether it was neither consumed nor rejected, as far as is known."""
        return self.status.phase == PENDING and self.metadata.deletion_timestamp is None

    @property
    def sent_at(self) -> datetime:
        """When it was sent: the time of its creation, unless it was restored from a backup."""
        return sent_at(self.metadata.annotations.sent_at, self.metadata.creation_timestamp)
