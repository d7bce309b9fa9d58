"""The identity of a run, and what its annotations say about the time before a restore."""

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.operator.objects.metadata import Metadata, Projection, RestoreLabels


class RunAnnotations(msgspec.Struct, frozen=True):
    """The annotations of a run that the operator reads."""

    began: str | None = msgspec.field(default=None, name=names.ANNOTATION_BEGAN)
    ended: str | None = msgspec.field(default=None, name=names.ANNOTATION_ENDED)
    created_by: str | None = msgspec.field(default=None, name=names.ANNOTATION_CREATED_BY)
    parent_iteration: str | None = msgspec.field(default=None, name=names.ANNOTATION_PARENT_ITERATION)
    imported: str | None = msgspec.field(default=None, name=names.ANNOTATION_IMPORTED)
    origin: str | None = msgspec.field(default=None, name=names.ANNOTATION_ORIGIN)
    last_applied: str | None = msgspec.field(default=None, name=names.ANNOTATION_LAST_APPLIED)

    def __post_init__(self) -> None:
        """Recover what is known about the run before a restore from the object that `kubectl apply` has stored."""
        if self.last_applied is None:
            return
        before = _applied(self.last_applied)
        status, phase = before.status, before.status.phase
        recovered = {"began": status.started_at, "ended": phase if phase in FINISHED else None, "origin": before.origin}
        for field, value in recovered.items():
            if value is not None and getattr(self, field) is None:
                msgspec.structs.force_setattr(self, field, value)
        msgspec.structs.force_setattr(self, "last_applied", None)


class _AppliedStatus(Projection, frozen=True):
    phase: str | None = None
    started_at: str | None = None


class _AppliedMetadata(Projection, frozen=True):
    name: str = ""
    uid: str = ""


class _Applied(Projection, frozen=True):
    metadata: _AppliedMetadata = _AppliedMetadata()
    status: _AppliedStatus = _AppliedStatus()

    @property
    def origin(self) -> str | None:
        return names.origin(self.metadata.name, self.metadata.uid) if self.metadata.uid else None


def _applied(text: str) -> _Applied:
    try:
        return msgspec.json.decode(text, type=_Applied) if '"status"' in text else _Applied()
    except msgspec.MsgspecError:
        return _Applied()  # edited by a user; the annotation belongs to kubectl


class RunMetadata(Metadata, frozen=True):
    """Identity of a run."""

    annotations: RunAnnotations = RunAnnotations()
    labels: RestoreLabels = RestoreLabels()

    @property
    def origin_uid(self) -> str:
        """The UID that names of children are derived from: the original one if the run was restored from a backup."""
        name, _, uid = (self.annotations.origin or "").partition("/")
        return uid if uid and name == self.name else self.uid
