"""TaskIterations, the records of attempts, without their payloads."""

from datetime import datetime

import msgspec

from podrelay.api import names
from podrelay.operator.objects.answers import Progress, Response
from podrelay.operator.objects.metadata import Metadata, Present, Projection, RestoreLabels


class HookOutcome(Projection, frozen=True):
    """How one lifecycle hook ended."""

    name: str
    outcome: str
    message: str | None = None


class RecordAnnotations(msgspec.Struct, frozen=True, rename={"cause": names.ANNOTATION_CAUSE}):
    """The annotations that the operator sets on a record that it writes for a pod."""

    cause: str | None = None


class RecordMetadata(Metadata, frozen=True):
    """Identity of a record, and who wrote its response."""

    annotations: RecordAnnotations = RecordAnnotations()
    labels: RestoreLabels = RestoreLabels()


class Record(Projection, frozen=True):
    """The record of one attempt, without its payloads."""

    metadata: RecordMetadata
    run_name: str
    iteration: int
    try_: int = msgspec.field(name="try")
    pod_name: str
    pod_uid: str = msgspec.field(name="podUID")
    protocol: int = 1
    started_at: datetime | None = None
    finished_at: datetime | None = None
    response: Response | None = None
    quiet: bool = False
    checkpoint: Present | None = None
    progress: Progress | None = None
    hook: str | None = None
    heartbeat_at: datetime | None = None
    hooks: tuple[HookOutcome, ...] = ()
