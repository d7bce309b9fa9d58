"""The planner's input: frozen values only.

A `View` is everything that is known about one TaskRun at one moment. It holds no connection, clock or payload, so a
test can construct any situation by hand.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.pods import Pod


class Settings(msgspec.Struct, frozen=True):
    """Settings for all runs, from the operator's flags."""

    default_ttl: timedelta | None = timedelta(days=90)
    """How long a finished run is kept if neither run, definition nor namespace sets it; None: forever."""
    progress_interval: timedelta = timedelta(seconds=15)
    """Shortest time between two copies of a run's progress to its status."""
    answer_grace: timedelta = timedelta(seconds=30)
    """How long a container may keep running after its answer, and a pod after its container."""
    force_gone_grace: timedelta = timedelta(seconds=15)
    """Wait after a pod vanished whose container may still be running: after that, its token is invalid."""
    deleted_token_grace: timedelta = timedelta(seconds=75)
    """The same after the deletion timestamp of a pod that a foreign finalizer keeps: its token stays valid for another
    minute (leeway of the API server, pkg/serviceaccount/claims.go), and token reviews are cached for ten seconds."""
    silence_good_for: timedelta = timedelta(seconds=2)
    """How long the result of a live GET that found no heartbeat may be used; watches may be older than that."""
    silence_grace: timedelta = timedelta(seconds=10)
    """How long a pod with a heartbeat timeout may be silent while the API server is known to answer: after an outage of
    the API server or the operator, the first heartbeat takes a while to arrive."""
    annotate_after: timedelta = timedelta(seconds=60)
    """How long after its start or its end a run gets an annotation that records it; shorter runs save the write."""
    max_running_pods: int | None = None
    """How many runs of all definitions may have a pod at the same time; None: no limit."""
    max_running_pods_per_namespace: int | None = None
    """The same for each namespace."""
    max_depth: int = 10
    """How many ancestors a run may have."""
    status_delay: timedelta = timedelta(seconds=3)
    """How long the status of a run by termination message may lag behind its pods while nothing goes wrong, so that the
    status of a short run is written once."""
    lagging_statuses_per_second: int = 10
    """If many runs start at once, the delay grows, so that at most this many statuses a second are written only to show
    that a pod is working."""
    longest_status_delay: timedelta = timedelta(seconds=30)
    """The limit of that growth."""
    creates_ahead: bool = True
    """Whether the pod of the next iteration may be created before the container of the current one has ended."""


class Gone(msgspec.Struct, frozen=True):
    """A live GET has confirmed that a pod no longer exists."""

    at: datetime
    last: Pod | None
    """The pod as it was last seen, or None if it never was, for example because the operator was restarted."""
    is_last_state: bool
    """Whether `last` is the final state of the pod; false if its deletion event was missed."""


class Refusal(msgspec.Struct, frozen=True):
    """The API server, or the template itself, refused a pod or a record of the run."""

    name: str
    reason: str
    message: str
    since: datetime
    retry_at: datetime


ABORTS_AT_ONCE: Final = 50
"""At most so many children to abort are part of a view."""


class RunRef(msgspec.Struct, frozen=True):
    """One run."""

    name: str
    uid: str


class Children(msgspec.Struct, frozen=True):
    """The facts about its children that a run needs."""

    unfinished: Mapping[str, int] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """How many of the children that the run itself has started are unfinished, by definition."""
    to_abort: tuple[RunRef, ...] = ()
    """The first children that are neither finished nor aborted."""
    unadopted: int = 0
    """How many children would remain if the run were deleted."""
    known_since: str | None = None
    """The record after which all children were listed with a live read."""


class Parent(msgspec.Struct, frozen=True):
    """The facts about its parent that a run needs."""

    uid: str
    definition: str
    triggers: tuple[str, ...] | None
    """From its definition; None if it does not set them, or does not exist."""
    is_aborted: bool
    """Whether the parent is Aborted, or will be."""
    is_finished: bool
    finished_at: datetime | None = None
    answered: int = 0
    """The last iteration whose answer was applied."""
    ancestors: int = 0
    """How many ancestors a child of the parent has."""
    unfinished_children: int = 0
    """How many of its children are unfinished, regardless of who started them."""
    max_children: int | None = None
    """From its definition; None if that does not exist."""
    created_by: str | None = None
    """Who created the parent, or, if a task did, the run that it descends from; None if unknown."""


class Heartbeat(msgspec.Struct, frozen=True):
    """The last heartbeat of a record, and when this operator first saw it: the node's clock may be wrong."""

    record: str
    heartbeat_at: datetime
    seen_at: datetime


class Sightings(msgspec.Struct, frozen=True):
    """When this operator saw each state of a pod, by its own clock, because the clock of the node may be wrong."""

    first: datetime | None = None
    """When the pod was first seen."""
    unstarted: datetime | None = None
    """When it was last seen without its container having started."""
    started: datetime | None = None
    """When its container was first seen running."""
    ended: datetime | None = None
    """When its container was first seen to have ended."""
    answered: datetime | None = None
    """When its answer was first seen."""


class Silence(msgspec.Struct, frozen=True):
    """Live GETs after the timeout have found no newer heartbeat in a record."""

    record: str
    heartbeat_at: datetime | None
    """The last heartbeat, None if there was none."""
    since: datetime
    """When the first of these GETs was answered."""
    confirmed_at: datetime
    """When the last of these GETs was answered."""


class InputCheck(msgspec.Struct, frozen=True):
    """The result of checking the input of a run; the input itself is not kept."""

    schema_problem: str | None = None
    """Why the definition's inputSchema is not a valid JSON Schema."""
    invalid_fields: Mapping[str, Any] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """By dot path, each as {"code", "message", "data": {"path"}}; empty if the input fits the schema."""
    concurrency_key: str | None = None
    """The value of the field that spec.concurrency.key of the definition names; None if there is no such limit."""


Scope = Literal["value", "definition", "namespace", "operator"]
"""The scope of a limit: runs with one value, of one definition, of one namespace, or all runs."""


class Slot(msgspec.Struct, frozen=True):
    """The slot of a run, or its place in the queue and the limit that it waits for."""

    is_granted: bool
    place: int = 0
    """Its position among the waiting runs of its definition, from 1."""
    scope: Scope | None = None
    """The limit that has been reached; None if the run only waits for older runs, or no slots are granted yet."""
    held: int = 0
    """How many runs have a slot within that limit."""
    limit: int = 0


class WaitingSignal(msgspec.Struct, frozen=True):
    """A signal that was accepted, and that no iteration has consumed yet."""

    name: str
    """Of the TaskSignal."""
    signal: str
    created: datetime
    """When it was sent."""
    size: int = 0
    """Bytes of its payload."""
    decision: str | None = None
    sender: str = ""
    restored_by: str | None = None
    """Who restored it from a backup; None if its sender has sent it."""


class Inbox(msgspec.Struct, frozen=True):
    """The signals that the next decisions about a run depend on; a run may have many more."""

    waiting: tuple[WaitingSignal, ...] = ()
    """The accepted signals of the names that the run waits for, of each name the oldest ones first, at most
    SIGNALS_AT_ONCE."""
    decisions: Mapping[str, WaitingSignal] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """The decisions among these signals, and among those that a pod was given or an answer has consumed, by the name
    of the TaskSignal."""
    consumed: frozenset[str] = frozenset()
    """Which of the TaskSignals that an answer has consumed are known to be marked as consumed."""


EMPTY_INBOX: Final = Inbox()


class View(msgspec.Struct, frozen=True):
    """All that is known about one TaskRun."""

    run: TaskRun
    definition: TaskDefinition | None
    now: datetime
    """When the view was made, by this operator's clock."""
    pods: tuple[Pod, ...] = ()
    records: tuple[Record, ...] = ()
    gone: Mapping[str, Gone] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """By UID."""
    lost_records: frozenset[str] = frozenset()
    """Names of records that the run needs, but a live GET has not found."""
    settled: frozenset[str] = frozenset()
    """Names of records that were read live after their pod had ended: nothing will be added to them."""
    silence: Silence | None = None
    still_there: tuple[str, str] | None = None
    """UID and resource version of a pod that a live GET has found although it should be gone."""
    absent: str | None = None
    """Name of a pod for which a live GET has confirmed that the run has no pod of that name."""
    creates_alone: bool = False
    """Whether no other request can create a pod of the run, and no other replica can have processed one unnoticed. Then
    the name of a pod is a claim, and no other write is necessary before it starts."""
    late_creations_until: datetime | None = None
    """Until when an earlier request may still create a pod of the run; None if there is no such request."""
    seen_alive: str | None = None
    """UID of a pod whose container had not ended when this leader wrote to the pod: no other leader has replaced it,
    and neither has a request of this leader that got no response."""
    not_ahead: str | None = None
    """Name of a pod that could not be created ahead, so it is created after the end of the pod before it."""
    sightings: Mapping[str, Sightings] = msgspec.field(default_factory=lambda: MappingProxyType({}))
    """By UID of the pod."""
    heartbeat: Heartbeat | None = None
    refusal: Refusal | None = None
    parent: Parent | None = None
    """The run that spec.parent names; None if there is none, or it is not known."""
    parent_missing_since: datetime | None = None
    """Since when the run that spec.parent names has been missing."""
    children: Children = Children()
    input: InputCheck | None = None
    """None until the input has been read; dropped once the status reflects the result."""
    slot: Slot | None = None
    """The run's slot, or its place in the queue; None if it neither has a slot nor has requested one."""
    is_surplus: bool = False
    """Whether enough later runs of the definition have finished, so that this one need not be kept."""
    retention_days: int | None = None
    """For how many days the namespace keeps finished runs. 0: forever, also while its settings are not known yet; None:
    the namespace does not set it."""
    is_kept_for_its_schedule: bool = False
    """Whether its schedule has yet to take note of the run: until then, a deleted run might be started again."""
    inbox: Inbox = EMPTY_INBOX
    consumed: frozenset[str] = frozenset()
    """Names of records whose signals are marked as consumed in the API server."""
    lagging: int = 0
    """How many runs have a pod that reports by message, and whose start or end their status does not show yet."""
    settings: Settings = Settings()

    def owns(self, obj: Pod | Record) -> bool:
        """Return whether a pod or record belongs to this run, not to an earlier one of the same name."""
        owner = obj.metadata.owner_run()
        if owner is None and isinstance(obj, Record):
            # A client has removed its owner; the pod's UID proves the same. Velero removes the owners of all objects
            # that it restores.
            current, restore = self.run.status.current, self.run.metadata.labels.velero
            is_restored_with_it = restore is not None and restore == obj.metadata.labels.velero
            return is_restored_with_it or (current is not None and current.pod_uid == obj.pod_uid)
        return owner is not None and owner.uid == self.run.metadata.uid

    def started_at(self, pod: Pod) -> datetime:
        """Return when the container of a pod started: the time of its node, within the limits of what was seen."""
        seen = self._seen(pod)
        reported = pod.task.running.started_at if pod.task.running else None
        earliest = max(pod.metadata.creation_timestamp, seen.unstarted or pod.metadata.creation_timestamp)
        started = max(earliest, min(reported or earliest, seen.started or self.now))
        return max(started, self._released_at(pod) or started)

    def must_start_by(self, pod: Pod) -> datetime:
        """Return until when the container of a pod must have started."""
        created = pod.metadata.creation_timestamp
        return pod.pending_deadline + max(timedelta(), (self._released_at(pod) or created) - created)

    def first_seen(self, pod: Pod) -> datetime:
        """Return when this operator first saw a pod; if that is unknown, when it was created."""
        return self._seen(pod).first or pod.metadata.creation_timestamp

    def shown_by(self, pod: Pod) -> datetime:
        """Return when the status has to show a pod at the latest, if it may lag behind."""
        settings = self.settings
        in_turn = timedelta(seconds=self.lagging / settings.lagging_statuses_per_second)
        return self.first_seen(pod) + max(settings.status_delay, min(in_turn, settings.longest_status_delay))

    def heartbeats_since(self, pod: Pod) -> datetime:
        """Return since when a running pod may be expected to send heartbeats."""
        seen = self._seen(pod).started or self.now
        return max(seen, self._released_at(pod) or seen)

    def ended_at(self, pod: Pod) -> datetime:
        """Return when this operator saw the end of a pod's container; if it did not, the time that the node reports."""
        reported = pod.task.terminated.finished_at if pod.task.terminated else None
        return self._seen(pod).ended or reported or self.now

    def answered_at(self, pod: Pod, record: Record) -> datetime:
        """Return when this operator saw the answer of a pod; if it did not, the time in its record."""
        return self._seen(pod).answered or record.finished_at or self.now

    def _released_at(self, pod: Pod) -> datetime | None:
        current = self.run.status.current
        return current.released_at if current is not None and current.pod_uid == pod.metadata.uid else None

    def _seen(self, pod: Pod) -> Sightings:
        return self.sightings.get(pod.metadata.uid, _NOTHING_SEEN)


_NOTHING_SEEN: Final = Sightings()
