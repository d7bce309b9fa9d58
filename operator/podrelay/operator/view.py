"""The planner's input: frozen values only.

A `View` is everything that is known about one TaskRun at one moment. It holds no connection, no clock and no payload,
so a test can make any situation by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from podrelay.operator.objects import Record, TaskDefinition, TaskRun
from podrelay.operator.pods import Pod


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator's flags decide for all runs."""

    default_ttl: timedelta | None = timedelta(days=90)
    """How long a finished run is kept where neither run nor definition nor namespace says; None: for ever."""
    progress_interval: timedelta = timedelta(seconds=15)
    """Progress is copied into the status of a run at most this often."""
    answer_grace: timedelta = timedelta(seconds=30)
    """How long a container may go on after its answer, and a pod after its container."""
    force_gone_grace: timedelta = timedelta(seconds=15)
    """Wait after a pod vanished whose container may still run: by then its token is dead."""
    deleted_token_grace: timedelta = timedelta(seconds=75)
    """The same after the deletion timestamp of a pod that somebody's finalizer keeps: its token is good for a minute
    more (leeway of the API server, pkg/serviceaccount/claims.go), and verdicts on tokens are kept for ten seconds."""
    silence_good_for: timedelta = timedelta(seconds=2)
    """How long a live GET that has found no sign of life may be acted on: watches may be later than that."""
    silence_grace: timedelta = timedelta(seconds=10)
    """How long a pod that has to give signs of life may be silent while the API server is known to answer: after an
    outage of it, or of the operator, the first sign takes a while to come."""
    annotate_after: timedelta = timedelta(seconds=60)
    """How long after its start, or its end, an annotation of the run tells so: shorter ones do without the write."""
    max_running_pods: int | None = None
    """How many runs of all definitions may have a pod at the same time; None: no limit."""
    max_running_pods_per_namespace: int | None = None
    """The same for each namespace."""
    max_depth: int = 10
    """How many ancestors a run may have."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A live GET has confirmed that a pod is no more."""

    at: datetime
    last: Pod | None
    """The pod as it was seen last, or None if it never was, for example before a restart of the operator."""
    is_last_state: bool
    """Whether `last` is what the pod was when it went; not so if its deletion itself was missed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server, or the template itself, refused a pod or a record of the run."""

    name: str
    reason: str
    message: str
    since: datetime
    retry_at: datetime


ABORTS_AT_ONCE: Final = 50
"""A view names so many children that are to be aborted, however many there are."""


@dataclass(frozen=True, slots=True)
class RunRef:
    """One run."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class Children:
    """What a run has to know of its children."""

    unfinished: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many of those that the run itself has started have not ended yet, by their definition."""
    to_abort: tuple[RunRef, ...] = ()
    """Of those that are neither finished nor aborted the first ones."""
    unadopted: int = 0
    """How many would stay if the run was deleted."""
    known_since: str | None = None
    """The record after which the API server itself was asked for all children."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a run has to know of its parent."""

    uid: str
    definition: str
    triggers: tuple[str, ...] | None
    """Of its definition; None where that says nothing, or is gone."""
    is_aborted: bool
    """Whether it is Aborted, or is to be."""
    is_finished: bool
    finished_at: datetime | None = None
    answered: int = 0
    """The last iteration whose answer was applied."""
    ancestors: int = 0
    """How many runs it has above it."""
    unfinished_children: int = 0
    """How many of its children have not ended, whoever has started them."""
    max_children: int | None = None
    """Of its definition; None where that is gone."""
    created_by: str | None = None
    """Who created it, or, where a task did, the run that it descends from; None where nobody tells."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a record, and when this operator first saw it: the node's clock may be wrong."""

    record: str
    heartbeat_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Sightings:
    """When this operator saw what of one pod, by its own clock: that of the pod's node may be wrong."""

    unstarted: datetime | None = None
    """When it was last seen without its container having started."""
    started: datetime | None = None
    """When its container was first seen running."""
    ended: datetime | None = None
    """When its container was first seen to have ended."""
    answered: datetime | None = None
    """When its answer was first seen."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Live GETs, made when the time was over, have found no newer sign of life in a record."""

    record: str
    heartbeat_at: datetime | None
    """The last sign of life, None if there was none."""
    since: datetime
    """When the first of them was answered."""
    confirmed_at: datetime
    """When the last one was."""


@dataclass(frozen=True, slots=True)
class InputCheck:
    """What was found in the input of a run, which nobody keeps."""

    schema_problem: str | None = None
    """Why the definition's inputSchema is no JSON Schema."""
    invalid_fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """By dot path, each as {"code", "message", "data": {"path"}}; empty if the input fits the schema."""
    concurrency_key: str | None = None
    """The value that spec.concurrency.key of the definition leads to; None if there is no such limit."""


Scope = Literal["value", "definition", "namespace", "operator"]
"""What a limit is about: runs with one value, all of one definition, all of one namespace, or all."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one run stands: it has a slot, or a place in the queue and a limit that it waits for."""

    is_granted: bool
    place: int = 0
    """Among all runs of its definition that wait, from 1."""
    scope: Scope | None = None
    """Which limit is reached; None if it only waits for older runs, or nothing is granted yet."""
    held: int = 0
    """How many runs have a slot within that limit."""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """All that is known about one TaskRun."""

    run: TaskRun
    definition: TaskDefinition | None
    now: datetime
    """When the view was made, by this operator's clock."""
    pods: tuple[Pod, ...] = ()
    records: tuple[Record, ...] = ()
    gone: Mapping[str, Gone] = field(default_factory=lambda: MappingProxyType({}))
    """By UID."""
    lost_records: frozenset[str] = frozenset()
    """Names of records of which a live GET has said that they are no more, although the run needs them."""
    settled: frozenset[str] = frozenset()
    """Names of records that were read live after their pod had ended: nothing will be added to what they tell."""
    silence: Silence | None = None
    still_there: tuple[str, str] | None = None
    """UID and resource version of a pod that a live GET has found although it should have gone."""
    absent: str | None = None
    """Name of a pod of which a live GET has said that the run has none of that name."""
    sightings: Mapping[str, Sightings] = field(default_factory=lambda: MappingProxyType({}))
    """By UID of the pod."""
    heartbeat: Heartbeat | None = None
    refusal: Refusal | None = None
    parent: Parent | None = None
    """The run that spec.parent names; None: there is none, or it is not known."""
    parent_missing_since: datetime | None = None
    """Since when there is no run of the name in spec.parent."""
    children: Children = Children()
    input: InputCheck | None = None
    """None until the input was read; forgotten when the status tells what followed from it."""
    slot: Slot | None = None
    """Whether the run may have a pod, or which place in the queue it has; None if it neither has nor wants one."""
    is_surplus: bool = False
    """Whether so many runs of the definition have finished since this one that it need not be kept."""
    retention_days: int | None = None
    """For how long the namespace has its finished runs kept. 0: for ever, also while its settings are not known yet;
    None: it says nothing."""
    settings: Settings = Settings()

    def owns(self, obj: Pod | Record) -> bool:
        """Tell whether a pod or record belongs to this very run, not to an earlier one of its name."""
        owner = obj.metadata.owner_run()
        if owner is None and isinstance(obj, Record):
            # Somebody took its owner away; a UID is as good a proof. Velero drops the owners of all that it restores.
            current, restore = self.run.status.current, self.run.metadata.labels.velero
            is_restored_with_it = restore is not None and restore == obj.metadata.labels.velero
            return is_restored_with_it or (current is not None and current.pod_uid == obj.pod_uid)
        return owner is not None and owner.uid == self.run.metadata.uid

    def started_at(self, pod: Pod) -> datetime:
        """Return when the container of a pod started: what its node says, within what this operator has seen."""
        seen = self._seen(pod)
        told = pod.task.running.started_at if pod.task.running else None
        earliest = max(pod.metadata.creation_timestamp, seen.unstarted or pod.metadata.creation_timestamp)
        return max(earliest, min(told or earliest, seen.started or self.now))

    def ended_at(self, pod: Pod) -> datetime:
        """Return when this operator saw that the container of a pod had ended; what its node says if it did not."""
        told = pod.task.terminated.finished_at if pod.task.terminated else None
        return self._seen(pod).ended or told or self.now

    def answered_at(self, pod: Pod, record: Record) -> datetime:
        """Return when this operator saw that a pod had answered; what its record says if it did not."""
        return self._seen(pod).answered or record.finished_at or self.now

    def _seen(self, pod: Pod) -> Sightings:
        return self.sightings.get(pod.metadata.uid, _NOTHING_SEEN)


_NOTHING_SEEN: Final = Sightings()
