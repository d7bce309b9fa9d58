"""What live reads, refusals and watches have shown about active runs: those that may still have new pods.

Observations belong to the UID of a run, never to its name: a run that was deleted and created again starts without any,
even if the response to a read about its predecessor arrives late.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from podrelay.operator.objects.records import Record
from podrelay.operator.pods import Pod
from podrelay.operator.view import Gone, Heartbeat, InputCheck, Refusal, Sightings, Silence

_REMEMBERED_PODS = 4
"""Of the deleted pods of a run, only the one that was due last matters."""


@dataclass(slots=True)
class Observations:
    """What is known about one run in addition to the objects themselves.

    Attributes:
        uid: of the run.
        last_seen: pods that have left the cache, by UID: their last known state, and whether that is their final state.
        gone: pods that a live read has not found, by UID.
        refusal: the last refusal of a pod or record, if none has been accepted since.
        not_ahead: name of the last pod that could not be created ahead.
        lost_records: names of records that the run needs and a live read has not found.
        settled: names of records that were read live after their pod had ended.
        consumed: names of records whose signals are marked as consumed.
        silence: the result of the live read when a heartbeat was overdue.
        input: the result of the input validation.
        children_known_since: the record after which all children were read live.
        still_there: UID and version of a pod that a live read has found although it should be gone.
        absent: name of the pod that a live read has not found.
        seen_alive: UID of a pod whose container had not ended when it was written to in this term.
        parent_missing_since: since when the run that spec.parent names has been missing.
        sightings: when this operator first saw each state of a pod that is not terminal, by UID.
        heartbeat: the last heartbeat of the newest record.
    """

    uid: str
    last_seen: dict[str, tuple[Pod, bool]] = field(default_factory=dict)
    gone: dict[str, Gone] = field(default_factory=dict)
    refusal: Refusal | None = None
    not_ahead: str | None = None
    lost_records: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    consumed: set[str] = field(default_factory=set)
    silence: Silence | None = None
    input: InputCheck | None = None
    children_known_since: str | None = None
    still_there: tuple[str, str] | None = None
    absent: str | None = None
    seen_alive: str | None = None
    parent_missing_since: datetime | None = None
    sightings: dict[str, Sightings] = field(default_factory=dict)
    heartbeat: Heartbeat | None = None

    def begin_term(self) -> None:
        """Forget everything that another replica may have changed since by creating pods and records.

        UIDs are never reused, so pods that are gone stay gone; and the time of a first sighting stays valid, too.
        """
        self.refusal = self.silence = self.input = None
        self.not_ahead = self.seen_alive = None
        self.children_known_since = self.absent = self.still_there = self.parent_missing_since = None
        self.lost_records.clear()
        self.settled.clear()
        self.consumed.clear()

    def pod_left(self, pod: Pod, *, is_last_state: bool) -> None:
        """Note that a pod has left the cache."""
        self.sightings.pop(pod.metadata.uid, None)
        self.last_seen[pod.metadata.uid] = (pod, is_last_state)
        _trim(self.last_seen)

    def pod_gone(self, uid: str, now: datetime) -> None:
        """Note that a live read has not found a pod."""
        last, is_last_state = self.last_seen.get(uid, (None, False))
        self.gone[uid] = Gone(now, last, is_last_state)
        _trim(self.gone)

    def see_pod(self, pod: Pod, now: datetime, *, has_answered: bool) -> None:
        """Note the time at which each state of a pod is seen first; a terminal pod no longer needs this."""
        uid = pod.metadata.uid
        if pod.is_terminal:
            self.sightings.pop(uid, None)
            return
        known, state = self.sightings.get(uid, Sightings()), pod.task
        self.sightings[uid] = Sightings(
            first=known.first or now,
            unstarted=known.unstarted if state.running or state.terminated else now,
            started=known.started or (now if state.running else None),
            ended=known.ended or (now if state.terminated else None),
            answered=known.answered or (now if has_answered else None),
        )

    def see_heartbeat(self, record: Record, now: datetime) -> None:
        """Note when the heartbeat of a record was first seen."""
        if record.heartbeat_at is None:
            return
        known = self.heartbeat
        if known is None or (known.record, known.heartbeat_at) != (record.metadata.name, record.heartbeat_at):
            self.heartbeat = Heartbeat(record.metadata.name, record.heartbeat_at, now)


def _trim(remembered: dict[str, Any]) -> None:
    while len(remembered) > _REMEMBERED_PODS:
        del remembered[next(iter(remembered))]
