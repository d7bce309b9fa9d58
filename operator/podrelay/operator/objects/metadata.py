"""What objects of all kinds have in common, as far as the operator reads it."""

from datetime import datetime, timedelta

import msgspec

from podrelay.api import names


class Projection(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """The part of an object that the operator reads; the decoder skips everything else."""


class Present(Projection, frozen=True):
    """A placeholder for an object of which only the existence matters."""


class OwnerReference(Projection, frozen=True):
    """The owner of an object."""

    kind: str
    name: str
    uid: str
    controller: bool = False
    api_version: str = names.API_VERSION

    @property
    def is_run(self) -> bool:
        """Whether the owner is a TaskRun of Podrelay; Tekton has a kind of the same name."""
        return self.kind == "TaskRun" and self.api_version.startswith(f"{names.GROUP}/")


class Metadata(Projection, frozen=True):
    """Identity of an object."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: datetime
    generation: int = 0
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int = 0
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def deletion_requested_at(self) -> datetime | None:
        """When the deletion was requested; `deletion_timestamp` is the end of the grace period."""
        if self.deletion_timestamp is None:
            return None
        return self.deletion_timestamp - timedelta(seconds=self.deletion_grace_period_seconds)

    def owner_run(self) -> OwnerReference | None:
        """Return the TaskRun that owns this object, if one does."""
        return next((owner for owner in self.owner_references if owner.is_run), None)


class Condition(Projection, frozen=True):
    """One aspect of a resource's state."""

    type: str
    status: str
    reason: str
    last_transition_time: datetime
    message: str = ""
    observed_generation: int | None = None


class RestoreLabels(msgspec.Struct, frozen=True, rename={"velero": names.LABEL_VELERO_RESTORE}):
    """The label of a run or a record that marks a restored object."""

    velero: str | None = None


class Named(Projection, frozen=True):
    """An object of which only the existence and changes matter."""

    metadata: Metadata
