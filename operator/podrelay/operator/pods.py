"""The projection of a pod: the fields that the operator needs, and facts derived from them."""

from datetime import datetime, timedelta
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.operator.objects.metadata import Metadata, Projection


class PodAnnotations(msgspec.Struct, frozen=True):
    """The annotations of a pod: settings of the definition it was made from, and since when and why it is ending."""

    iteration_timeout: str = msgspec.field(default="900", name=names.ANNOTATION_ITERATION_TIMEOUT)
    pending_timeout: str = msgspec.field(default="900", name=names.ANNOTATION_PENDING_TIMEOUT)
    node_lost_timeout: str = msgspec.field(default="600", name=names.ANNOTATION_NODE_LOST_TIMEOUT)
    heartbeat_timeout: str | None = msgspec.field(default=None, name=names.ANNOTATION_HEARTBEAT_TIMEOUT)
    pod_cleanup: str = msgspec.field(default="OnSuccess", name=names.ANNOTATION_POD_CLEANUP)
    container: str = msgspec.field(default=names.TASK_CONTAINER, name=names.ANNOTATION_CONTAINER)
    ending_since: str | None = msgspec.field(default=None, name=names.ANNOTATION_ENDING_SINCE)
    ending_reason: str | None = msgspec.field(default=None, name=names.ANNOTATION_ENDING_REASON)
    reporting: str = msgspec.field(default=names.REPORTING_API, name=names.ANNOTATION_REPORTING)
    template_hash: str | None = msgspec.field(default=None, name=names.ANNOTATION_TEMPLATE_HASH)
    after: str | None = msgspec.field(default=None, name=names.ANNOTATION_AFTER)
    signals: str | None = msgspec.field(default=None, name=names.ANNOTATION_SIGNALS)

    def __post_init__(self) -> None:
        """Use the defaults instead of invalid values that a user has set, so that the pod stays under control."""
        for field, default in _DEFAULT_SECONDS.items():
            value = getattr(self, field)
            if value != default and not _is_seconds(value):
                msgspec.structs.force_setattr(self, field, default)
        if self.ending_since is not None and not _is_moment(self.ending_since):
            msgspec.structs.force_setattr(self, "ending_since", None)


_DEFAULT_SECONDS: Final = {
    "iteration_timeout": "900",
    "pending_timeout": "900",
    "node_lost_timeout": "600",
    "heartbeat_timeout": None,
}


def _is_seconds(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


class PodMetadata(Metadata, frozen=True):
    """Identity of a pod."""

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: PodAnnotations = PodAnnotations()
    finalizers: tuple[str, ...] = ()


class ContainerWaiting(Projection, frozen=True):
    """A container that has not started."""

    reason: str = ""
    message: str = ""


class ContainerRunning(Projection, frozen=True):
    """A running container."""

    started_at: datetime | None = None


class ContainerTerminated(Projection, frozen=True):
    """A container that has ended."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(Projection, frozen=True):
    """Exactly one of the three states, or none if the kubelet has not reported the container yet."""

    waiting: ContainerWaiting | None = None
    running: ContainerRunning | None = None
    terminated: ContainerTerminated | None = None


class ContainerStatus(Projection, frozen=True):
    """The status of a container, reported by the kubelet."""

    name: str
    image: str = ""
    state: ContainerState = ContainerState()


class PodCondition(Projection, frozen=True):
    """One aspect of a pod's state."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class SchedulingGate(Projection, frozen=True):
    """A gate that must be removed before the pod is scheduled."""

    name: str


class Limits(Projection, frozen=True):
    """The resource limits of a container."""

    memory: str | None = None


class ContainerResources(Projection, frozen=True):
    """The resources of a container."""

    limits: Limits | None = None


class Container(Projection, frozen=True):
    """The needed part of a container's spec."""

    name: str
    resources: ContainerResources | None = None


class PodSpec(Projection, frozen=True):
    """The needed part of a pod's spec."""

    containers: tuple[Container, ...] = ()
    node_name: str = ""
    active_deadline_seconds: int | None = None
    termination_grace_period_seconds: int = 30
    scheduling_gates: tuple[SchedulingGate, ...] = ()


class PodStatus(Projection, frozen=True):
    """The status of a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: tuple[PodCondition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Projection, frozen=True):
    """One pod of a run."""

    metadata: PodMetadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def task(self) -> ContainerState:
        """The state of the task's container."""
        name = self.metadata.annotations.container
        return next(
            (status.state for status in self.status.container_statuses if status.name == name), ContainerState()
        )

    @property
    def image(self) -> str:
        """The image of the task's container, if the kubelet has reported it."""
        name = self.metadata.annotations.container
        return next((status.image for status in self.status.container_statuses if status.name == name), "")

    @property
    def memory_limit(self) -> str | None:
        """The memory limit of the task's container; None if it has none."""
        name = self.metadata.annotations.container
        resources = next((item.resources for item in self.spec.containers if item.name == name), None)
        return resources.limits.memory if resources is not None and resources.limits is not None else None

    @property
    def is_unclaimed(self) -> bool:
        """Whether the pod still has the gate that the operator removes once the pod may run."""
        return any(gate.name == names.CLAIM_GATE for gate in self.spec.scheduling_gates)

    @property
    def reports_by_message(self) -> bool:
        """Whether the pod answers with its termination message."""
        return self.metadata.annotations.reporting == names.REPORTING_TERMINATION_MESSAGE

    @property
    def signals(self) -> tuple[str, ...]:
        """The names of the TaskSignals that the pod was given."""
        return tuple(filter(None, (self.metadata.annotations.signals or "").split(",")))

    @property
    def pending_deadline(self) -> datetime:
        """The time by which the pod must have started."""
        seconds = int(self.metadata.annotations.pending_timeout)
        return self.metadata.creation_timestamp + timedelta(seconds=seconds)

    @property
    def is_terminal(self) -> bool:
        """Whether the pod is in a final phase."""
        return self.status.phase in {"Succeeded", "Failed"}

    @property
    def has_started(self) -> bool:
        """Whether the task's container has ever run, as far as has been reported."""
        terminated = self.task.terminated
        # If a pod is deleted before it starts, its containers are reported as terminated, but without a start time.
        return self.task.running is not None or (terminated is not None and terminated.started_at is not None)

    @property
    def is_released(self) -> bool:
        """Whether the task's container can no longer run."""
        return self.is_terminal or self.task.terminated is not None or self._is_discarded

    @property
    def _is_discarded(self) -> bool:
        """Whether the pod was deleted before it was on a node, so that only finalizers keep it."""
        return self.metadata.deletion_timestamp is not None and not self.spec.node_name

    @property
    def is_held(self) -> bool:
        """Whether Podrelay's finalizer keeps the pod."""
        return names.ANSWER_FINALIZER in self.metadata.finalizers

    @property
    def is_force_deleted(self) -> bool:
        """Whether the pod was deleted without a grace period while its container may be running.

        A kubelet completes each deletion in the same way, but only after it has reported the end of the container.
        """
        is_forced = self.metadata.deletion_timestamp is not None and not self.metadata.deletion_grace_period_seconds
        return is_forced and not self.is_released
