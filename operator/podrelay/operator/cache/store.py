"""The operator's cache: objects from the reflectors and from the responses to its writes, indexed by TaskRun.

Only a newer version replaces an object, regardless of its source. So the response to a write is visible to the next
plan at once (read your writes), and a late watch event cannot undo it.
"""

from collections import defaultdict
from collections.abc import Callable, Set
from datetime import UTC, datetime
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator import object_rules, overrides
from podrelay.operator.cache.children import Change, ChildIndex
from podrelay.operator.cache.collection import Collection
from podrelay.operator.cache.creations import Creations
from podrelay.operator.cache.finished_runs import FinishedRuns
from podrelay.operator.cache.observations import Observations
from podrelay.operator.cache.refused_runs import RefusedRuns
from podrelay.operator.cache.run_id import RunId
from podrelay.operator.cache.seats import Seats
from podrelay.operator.cache.signals import SignalCache
from podrelay.operator.cache.slots import Limits, Slots
from podrelay.operator.objects.definitions import HistoryLimit, TaskDefinition
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.pods import Pod
from podrelay.operator.view import InputCheck, Parent, Refusal, Settings, Silence, View

_WOKEN_AT_ONCE = 20
"""After a change, so many definitions have a refused run retried; if its pod is accepted, more of their runs follow."""
_WOKEN_BY_ONE = 2
"""So many refused runs of a definition are retried when the pod of another one was accepted."""
_REPLANNED_PER_SECOND = 100
"""Finished runs to replan when the retention has changed; a deletion takes the API server some milliseconds."""


class Store:
    """Everything known, by TaskRun.

    Args:
        mark: called with the key of each run that has to be reconciled.
        settings: settings from the operator's flags.
        definition_changed: called with the key of each definition that has changed since it was reviewed.
        counted: called with the key of each definition whose number of runs that have a pod, or wait for one, has
            changed, or whose status may show outdated numbers.
        mark_later: like `mark`, after a number of seconds; by default at once.
        retention_days: returns the retention of a namespace, as View.retention_days.
        clock: returns the current time, aware, UTC.
        restored: called when the API server has gone back in time, so that the cache is useless.
        scheduled_run_changed: called with each run of a schedule that has changed, and whether it is gone.
        is_kept_for_its_schedule: returns whether the schedule of a run has yet to take note of the run.
        mark_signal: called with the key of each signal that has to be judged.
        creations: which requests may create pods.
    """

    def __init__(
        self,
        mark: Callable[[Key], None],
        settings: Settings,
        definition_changed: Callable[[Key], None] = lambda _key: None,
        counted: Callable[[Key], None] = lambda _key: None,
        mark_later: Callable[[Key, float], None] | None = None,
        retention_days: Callable[[str], int | None] = lambda _namespace: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        restored: Callable[[], None] = lambda: None,
        scheduled_run_changed: Callable[[TaskRun, bool], None] = lambda _run, _is_gone: None,
        is_kept_for_its_schedule: Callable[[TaskRun], bool] = lambda _run: False,
        mark_signal: Callable[[Key], None] = lambda _key: None,
        creations: Creations | None = None,
    ) -> None:
        self.restored = restored
        self.creations = creations or Creations()
        self._scheduled_run_changed = scheduled_run_changed
        self._is_kept_for_its_schedule = is_kept_for_its_schedule
        self._mark = mark
        self._clock = clock
        self._mark_later = mark_later or (lambda key, _seconds: mark(key))
        self._retention_days = retention_days
        self._definition_changed = definition_changed
        self._counted = counted
        self._settings = settings
        self.runs: Collection[TaskRun] = Collection(_own_key, self._run_changed, self._run_removed, restored)
        self.pods: Collection[Pod] = Collection(_owner_key, self._pod_changed, self._pod_removed, restored)
        self.records: Collection[Record] = Collection(_owner_key, self._record_changed, restored=restored)
        self.definitions: Collection[TaskDefinition] = Collection(
            _own_key, self._definition_has_changed, restored=restored
        )
        self.slots: Slots[Key, RunId] = Slots(
            lambda run: mark(run.key),
            counted,
            settings.max_running_pods,
            lambda definition: definition.namespace,
            settings.max_running_pods_per_namespace,
        )
        self.inboxes = SignalCache(mark_signal, mark, self.run, restored)
        self._seats = Seats(self.slots, self.run, self.pods, self._is_open)
        self._observations: dict[Key, Observations] = {}
        self._refused: RefusedRuns[Key, Key] = RefusedRuns()
        self._specs: dict[Key, tuple[str, int]] = {}
        self._runs_of: defaultdict[Key, dict[Key, None]] = defaultdict(dict)
        self._finished: FinishedRuns[Key, Key] = FinishedRuns()
        self._children: ChildIndex[Key] = ChildIndex()

    def begin_term(self) -> None:
        """Forget the slots and live reads of an earlier leadership term, and mark everything for reconciliation.

        Another replica may have been the leader meanwhile. Only facts remain that a new process would know, too, and
        that no other replica can have changed: deleted pods and the times of first sightings. Call `slots.open()`
        afterwards.
        """
        for observed in self._observations.values():
            observed.begin_term()
        self._refused = RefusedRuns()
        self.inboxes.begin_term()
        self._seats.begin_term()
        for key in self.runs.all_keys():
            run = self.run(key)
            if run is not None and run.spec.parent is not None:
                self._children.note(key, Key(key.namespace, run.spec.parent), run)
            if self._is_open(key):
                self._seats.follow(key)
            self._mark(key)
        for key in self.pods.all_keys():
            self._seats.follow(key)
            self._mark(key)
        for definition in self.definitions.all_keys():
            self._definition_changed(definition)
            self._counted(definition)

    def view(self, key: Key) -> View | None:
        """Return all that is known about a run, or None if there is no such run."""
        run = self.run(key)
        if run is None:
            return None
        definition = self.definition(key.namespace, run.spec.definition)
        parent = self._parent(run)
        if parent is None and run.spec.parent is not None and (about := self._observations_of(run)) is not None:
            about.parent_missing_since = about.parent_missing_since or self._clock()
        observed = self._observations.get(key)
        if observed is None or observed.uid != run.metadata.uid:
            observed = _NOTHING_OBSERVED
        now = self._clock()
        pods, records = self.pods.of(key), self.records.of(key)
        return View(
            run=run,
            definition=overrides.applied(run, definition) if definition is not None else None,
            now=now,
            pods=pods,
            records=records,
            gone=dict(observed.gone),
            lost_records=frozenset(observed.lost_records),
            settled=frozenset(observed.settled),
            silence=observed.silence,
            still_there=observed.still_there,
            absent=observed.absent,
            sightings=dict(observed.sightings),
            heartbeat=observed.heartbeat,
            refusal=observed.refusal,
            not_ahead=observed.not_ahead,
            seen_alive=observed.seen_alive,
            creates_alone=self.creations.are_alone(run),
            late_creations_until=self.creations.late_until(run, now),
            parent=parent,
            parent_missing_since=observed.parent_missing_since,
            children=msgspec.structs.replace(self._children.summary(key), known_since=observed.children_known_since),
            input=observed.input,
            slot=self.slots.slot(RunId.of(run)),
            is_surplus=self._finished.newer_than(key) >= _kept_runs(definition),
            retention_days=self._retention_days(key.namespace),
            is_kept_for_its_schedule=run.spec.scheduled is not None and self._is_kept_for_its_schedule(run),
            inbox=self.inboxes.inbox(run, pods, records),
            consumed=frozenset(observed.consumed),
            lagging=self._seats.lagging,
            settings=self._settings,
        )

    def run(self, key: Key) -> TaskRun | None:
        """Return one run."""
        return next(iter(self.runs.of(key)), None)

    def definition(self, namespace: str, name: str) -> TaskDefinition | None:
        """Return one definition."""
        return next(iter(self.definitions.of(Key(namespace, name))), None)

    def confirm_gone(self, run: TaskRun, name: str, uid: str) -> None:
        """Note that a live GET has not found a pod."""
        self.pods.forget(_own_key(run), name, uid)
        if (observed := self._observations_of(run)) is not None:
            observed.pod_gone(uid, self._clock())

    def confirm_still_there(self, run: TaskRun, pod: Pod) -> None:
        """Note that a live GET has found a pod of the run, and store it."""
        self.pods.restore(pod)
        if (observed := self._observations_of(run)) is not None:
            observed.still_there = (pod.metadata.uid, pod.metadata.resource_version)

    def confirm_absent(self, run: TaskRun, name: str) -> None:
        """Note that a live GET has found no pod of this name that belongs to the run."""
        if (observed := self._observations_of(run)) is not None:
            observed.absent = name

    def confirm_alive(self, run: TaskRun, pod: Pod) -> None:
        """Note that a write to a pod of the run has shown its current state, and store it."""
        self.pods.apply(pod)
        if not pod.is_released and (observed := self._observations_of(run)) is not None:
            observed.seen_alive = pod.metadata.uid

    def creation_unanswered(self, run: TaskRun) -> None:
        """Note that a request to create a pod of the run got no response, so a pod may replace the last one unseen."""
        self.creations.unanswered(run)
        if (observed := self._observations_of(run)) is not None:
            observed.seen_alive = None

    def confirm_lost(self, run: TaskRun, record: str) -> None:
        """Note that a live GET has not found a record that the run needs."""
        key = _own_key(run)
        for known in self.records.of(key):
            if known.metadata.name == record:
                self.records.forget(key, record, known.metadata.uid)
        if (observed := self._observations_of(run)) is not None:
            observed.lost_records.add(record)

    def confirm_settled(self, run: TaskRun, record: str) -> None:
        """Note that a record was read live after its pod had ended, and the result is in the cache."""
        if (observed := self._observations_of(run)) is not None:
            observed.settled.add(record)

    def confirm_silent(self, run: TaskRun, silence: Silence) -> None:
        """Note that a live GET has found no newer heartbeat in a record."""
        if (observed := self._observations_of(run)) is not None:
            known = observed.silence
            if known is not None and (known.record, known.heartbeat_at) == (silence.record, silence.heartbeat_at):
                silence = msgspec.structs.replace(silence, since=known.since)
            observed.silence = silence

    def confirm_children(self, run: TaskRun, record: str) -> None:
        """Note that all children that a run had when `record` was stored are known."""
        if (observed := self._observations_of(run)) is not None:
            observed.children_known_since = record

    def confirm_consumed(self, run: TaskRun, record: str) -> None:
        """Note that the signals of a record are marked as consumed in the API server."""
        if (observed := self._observations_of(run)) is not None:
            observed.consumed.add(record)

    def now(self) -> datetime:
        """Return the current time."""
        return self._clock()

    def created_by(self, run: TaskRun) -> str | None:
        """Return who has created a run, or, if a task did, the run that it descends from; None if unknown."""
        return next(filter(None, (member.metadata.annotations.created_by for member in self._line_of(run))), None)

    def abort_refused(self, child: Key) -> None:
        """Note that a run cannot be aborted in its current state, so that the abort of its parent continues."""
        self._children.leave_alone(child)

    def refused(self, run: TaskRun, refusal: Refusal) -> None:
        """Note that a pod or a record of the run was refused."""
        if (observed := self._observations_of(run)) is not None:
            observed.refusal = refusal
            self._refused.add(_definition_of(run), _own_key(run))

    def note_not_ahead(self, run: TaskRun, name: str) -> None:
        """Note that a pod could not be created ahead."""
        if (observed := self._observations_of(run)) is not None:
            observed.not_ahead = name

    def refusal(self, run: TaskRun) -> Refusal | None:
        """Return what was refused last, if nothing has been accepted since."""
        observed = self._observations.get(_own_key(run))
        return observed.refusal if observed is not None and observed.uid == run.metadata.uid else None

    def accepted(self, run: TaskRun) -> None:
        """Note that a pod or record was accepted: forget earlier refusals, and retry other refused runs."""
        observed, key = self._observations.get(_own_key(run)), _own_key(run)
        if observed is None or observed.uid != run.metadata.uid or observed.refusal is None:
            return
        reason, observed.refusal = observed.refusal.reason, None
        self._refused.remove(_definition_of(run), key)
        following = self._refused.of(_definition_of(run), _WOKEN_BY_ONE, lambda other: self._waits_for(other, {reason}))
        for other in following:
            self._retry_now(other)

    def retry_refused(self, namespace: str | None, reasons: Set[str]) -> None:
        """Retry at once a run of each definition that was refused for one of these reasons; None: in all namespaces."""

        def is_here(definition: Key) -> bool:
            return namespace in {None, definition.namespace}

        for key in self._refused.one_of_each(_WOKEN_AT_ONCE, is_here, lambda run: self._waits_for(run, reasons)):
            self._retry_now(key)

    def _waits_for(self, key: Key, reasons: Set[str]) -> bool:
        observed = self._observations.get(key)
        return observed is not None and observed.refusal is not None and observed.refusal.reason in reasons

    def _retry_now(self, key: Key) -> None:
        observed = self._observations[key]
        if observed.refusal is not None:
            retry_at = min(observed.refusal.retry_at, self._clock())
            observed.refusal = msgspec.structs.replace(observed.refusal, retry_at=retry_at)
            self._mark(key)

    def input_read(self, run: TaskRun, definition: TaskDefinition, found: InputCheck) -> None:
        """Note the result of validating the input of a run against `definition`."""
        known = self.definition(*_own_key(definition))
        observed = self._observations_of(run)
        if observed is not None and known is not None and _spec_version(known) == _spec_version(definition):
            observed.input = found

    def _observations_of(self, run: TaskRun) -> Observations | None:
        """Return the observations of this run, to be updated; None if the run is no longer active."""
        key = _own_key(run)
        if not self._is_open(key, run.metadata.uid):
            return None
        observed = self._observations.get(key)
        if observed is None or observed.uid != run.metadata.uid:
            observed = self._observations[key] = Observations(run.metadata.uid)
        return observed

    def take_slot(self, run: TaskRun, value: str | None) -> None:
        """Request a slot for a run; the next view contains the result."""
        if self._is_open(_own_key(run), run.metadata.uid):
            self._seats.want(run, value)

    def return_slot(self, run: TaskRun) -> None:
        """Give back the slot of a run, or its place in the queue."""
        self._seats.leave(run)

    def retention_changed(self, namespace: str | None) -> None:
        """Reconcile the finished runs whose retention their namespace sets; None: in all namespaces.

        They are spread over time: each costs a plan, and maybe a deletion, and would otherwise delay active runs.
        """
        here = (key for key in self.runs.all_keys() if namespace in {None, key.namespace})
        for number, key in enumerate(filter(self._is_kept_by_its_namespace, here)):
            self._mark_later(key, number / _REPLANNED_PER_SECOND)

    def _is_kept_by_its_namespace(self, key: Key) -> bool:
        run = self.run(key)
        if run is None or run.status.phase not in FINISHED:
            return False
        return object_rules.own_ttl_seconds(run, self.definition(*_definition_of(run))) is None

    def _pod_changed(self, key: Key) -> None:
        run = self.run(key)
        if run is not None and (observed := self._observations_of(run)) is not None:
            observed.still_there = None  # something has changed
        self._observe(key)
        self._seats.follow(key)
        self._mark(key)

    def _record_changed(self, key: Key) -> None:
        self._observe(key)
        self._mark(key)

    def _observe(self, key: Key) -> None:
        """Note when each state of the run's pods, and each heartbeat, is seen for the first time."""
        run, pods, records = self.run(key), self.pods.of(key), self.records.of(key)
        if run is None or not (pods or records) or (observed := self._observations_of(run)) is None:
            return
        now = self._clock()
        answered = {record.pod_uid for record in records if record.response is not None}
        for pod in pods:
            observed.see_pod(pod, now, has_answered=pod.metadata.uid in answered)
        working = [record for record in records if record.response is None and record.heartbeat_at]
        if working:
            observed.see_heartbeat(max(working, key=lambda record: (record.iteration, record.try_)), now)

    def _pod_removed(self, key: Key, pod: Pod, is_last_state: bool) -> None:
        run = self.run(key)
        if run is not None and (observed := self._observations_of(run)) is not None:
            observed.pod_left(pod, is_last_state=is_last_state)

    def _is_open(self, key: Key, uid: str | None = None) -> bool:
        """Whether a run is active: it may have pods until it has finished and its hooks are done."""
        run = self.run(key)
        if run is None or uid not in {None, run.metadata.uid}:
            return False
        return run.status.phase not in FINISHED or object_rules.hooks_follow(run.status)

    def _run_changed(self, key: Key) -> None:
        run = self.run(key)
        if run is not None:
            self._runs_of[_definition_of(run)][key] = None
            if run.spec.scheduled is not None:
                self._scheduled_run_changed(run, False)
        if run is not None and run.spec.parent is not None:
            parent = Key(key.namespace, run.spec.parent)
            self._mark_parent(parent, self._children.note(key, parent, run))
        observed = self._observations.get(key)
        if observed is not None and not self._is_open(key, observed.uid):
            self._forget_facts(key, _definition_of(run) if run is not None else None)
        elif observed is not None and run is not None and not object_rules.is_new(run.status):
            observed.input = None  # the status already reflects it
        self._observe(key)
        self._seats.follow(key)
        if run is not None and run.status.phase in FINISHED:
            self._has_finished(key, run)
        if run is not None:
            for child in self._children.has_answered(key, names.iteration_of(run.status.last_record or "")):
                self._mark(child)  # a child with selfCleanup may have waited for this
        self.inboxes.run_changed(key)
        self._mark(key)

    def _has_finished(self, key: Key, run: TaskRun) -> None:
        definition = _definition_of(run)
        if self._finished.add(definition, key, run.status.finished_at or run.metadata.creation_timestamp):
            self._mark_children(key)
        surplus = self._finished.first_beyond(definition, _kept_runs(self.definition(*definition)))
        if surplus is not None:
            self._mark(surplus)

    def _run_removed(self, key: Key, run: TaskRun, _is_last_state: bool) -> None:
        # Finished runs stay in memory for months, without the facts that only matter for active runs.
        if run.spec.scheduled is not None:
            self._scheduled_run_changed(run, True)
        self._forget_facts(key, _definition_of(run))
        self._forget_in_index(key, _definition_of(run))
        self._finished.remove(key)
        self.creations.forget(run.metadata.uid)
        self.inboxes.run_changed(key)
        parent, change = self._children.remove(key)
        if parent is not None:
            self._mark_parent(parent, change)
        self._mark_children(key)

    def _forget_facts(self, key: Key, definition: Key | None) -> None:
        self._observations.pop(key, None)
        if definition is not None:
            self._refused.remove(definition, key)

    def _forget_in_index(self, key: Key, definition: Key) -> None:
        self._runs_of[definition].pop(key, None)
        if not self._runs_of[definition]:
            del self._runs_of[definition]

    def _parent(self, run: TaskRun) -> Parent | None:
        namespace = run.metadata.namespace
        parent = self.run(Key(namespace, run.spec.parent)) if run.spec.parent is not None else None
        if parent is None:
            return None
        definition = self.definition(namespace, parent.spec.definition)
        line = self._line_of(parent)
        return Parent(
            uid=parent.metadata.uid,
            definition=parent.spec.definition,
            triggers=definition.spec.triggers if definition else None,
            is_aborted=parent.spec.abort is not None or parent.status.phase == "Aborted",
            is_finished=parent.status.phase in FINISHED,
            finished_at=parent.status.finished_at,
            answered=names.iteration_of(parent.status.last_record or ""),
            ancestors=len(line),
            unfinished_children=self._children.unfinished(Key(namespace, parent.metadata.name)),
            max_children=definition.spec.max_children if definition else None,
            created_by=next(filter(None, (member.metadata.annotations.created_by for member in line)), None),
        )

    def _line_of(self, run: TaskRun) -> list[TaskRun]:
        """Return a run, its parent, the parent of that and so on, up to the maximum depth."""
        line = [run]
        while line[-1].spec.parent is not None and len(line) <= self._settings.max_depth:
            parent = self.run(Key(run.metadata.namespace, line[-1].spec.parent))
            if parent is None:
                break
            line.append(parent)
        return line

    def _mark_parent(self, parent: Key, change: Change) -> None:
        known = self.run(parent)
        if known is None:
            return
        is_to_abort = change.is_new and known.spec.abort is not None and known.spec.abort.cascade
        if change.is_over or change.is_adopted or is_to_abort:
            self._mark(parent)

    def _mark_children(self, key: Key) -> None:
        """Reconcile the children of a run that has finished or was deleted: their retention depends on it."""
        for child in self._children.of(key):
            self._mark(child)

    def _definition_has_changed(self, definition: Key) -> None:
        known = self.definition(definition.namespace, definition.name)
        if known is not None and known.status.observed_generation != known.metadata.generation:
            self._definition_changed(definition)
        self._counted(definition)
        if not self._has_new_spec(definition, known):
            return  # only its status, which the operator itself writes
        for key in tuple(self._runs_of.get(definition, ())):
            if (observed := self._observations.get(key)) is not None:
                observed.refusal = observed.input = None  # the definition may have been corrected
                self._refused.remove(definition, key)
            self.inboxes.run_is_new(key)
            self._mark(key)

    def _has_new_spec(self, definition: Key, known: TaskDefinition | None) -> bool:
        """Store the limits of a changed definition; return whether anything but its status has changed."""
        if known is None:
            self._specs.pop(definition, None)
            self.slots.set_limits(definition, None)
            return True
        before, self._specs[definition] = self._specs.get(definition), _spec_version(known)
        if before == self._specs[definition]:
            return False
        concurrency = known.spec.concurrency
        per_value = concurrency.limit if concurrency is not None else None
        self.slots.set_limits(definition, Limits(known.spec.max_concurrent_runs, per_value))
        return True


def _kept_runs(definition: TaskDefinition | None) -> int:
    return (definition.spec.history_limit if definition else HistoryLimit()).runs


_NOTHING_OBSERVED: Final = Observations("")


def _definition_of(run: TaskRun) -> Key:
    return Key(run.metadata.namespace, run.spec.definition)


def _spec_version(definition: TaskDefinition) -> tuple[str, int]:
    return definition.metadata.uid, definition.metadata.generation


def _own_key(obj: TaskRun | TaskDefinition) -> Key:
    return Key(obj.metadata.namespace, obj.metadata.name)


def _owner_key(obj: Pod | Record) -> Key | None:
    owner, name = obj.metadata.owner_run(), obj.metadata.name
    if owner is None and not names.iteration_of(name):
        return None
    # An object without an owner, or with another one, still has a name that only this run may use.
    return Key(obj.metadata.namespace, owner.name if owner else names.run_of(name))
