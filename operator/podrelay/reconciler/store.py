"""The operator's memory: what the reflectors see and what its own writes answered, indexed by TaskRun.

An object is only ever replaced by a newer one, whoever brings it, so the response of an own write is visible to the
next plan at once (read your writes), and a late watch event cannot undo it.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from podrelay.api import names
from podrelay.reconciler import admission, hooks, housekeeping
from podrelay.reconciler.family import Change, Family
from podrelay.reconciler.history import FinishedRuns
from podrelay.reconciler.objects import FINISHED, HistoryLimit, Pod, Record, TaskDefinition, TaskRun
from podrelay.reconciler.slots import Limits, Slots
from podrelay.reconciler.view import Gone, InputFacts, Parent, Refusal, Settings, Silence, View


class Key(NamedTuple):
    """Names one TaskRun; what the work queue holds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


T = TypeVar("T", TaskRun, TaskDefinition, Pod, Record)
_REMEMBERED_DELETIONS = 20_000
_REPLANNED_PER_SECOND = 100
"""Finished runs of a namespace whose settings have changed; a deletion takes the API server some milliseconds."""
_REMEMBERED_PODS = 4
"""Of the pods of a run that are no more, only the one that held the baton matters."""


class Collection(Generic[T]):
    """All objects of one kind, grouped by a key; a `kube.reflector.Sink`.

    Args:
        group_of: which key an object belongs to, None for objects that are of no interest.
        changed: called with the key after every change.
        removed: called when an object has gone, with its key, the object as known, and whether that is its last state.
    """

    def __init__(
        self,
        group_of: Callable[[T], Key | None],
        changed: Callable[[Key], None],
        removed: Callable[[Key, T, bool], None] = lambda _key, _obj, _is_last_state: None,
    ) -> None:
        self._group_of: Callable[[T], Key | None] = group_of
        self._changed = changed
        self._removed: Callable[[Key, T, bool], None] = removed
        self._groups: defaultdict[Key, dict[str, T]] = defaultdict(dict)
        # An answer to an own write may come after the watch event of the object's deletion. UID -> version it had then.
        self._deleted: OrderedDict[str, int] = OrderedDict()
        self._listed: dict[str | None, int] = {}
        """The version at which all objects were listed last, by namespace, or of all."""

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def all_keys(self) -> Iterator[Key]:
        """Iterate over the keys that have objects."""
        return iter(list(self._groups))

    def of(self, key: Key) -> tuple[T, ...]:
        """Return the objects of one key."""
        group = self._groups.get(key)
        return tuple(group.values()) if group else ()

    def apply(self, obj: T) -> None:
        """Take an object unless a newer state of it is known, or that it is no more."""
        key = self._group_of(obj)
        if key is None or obj.metadata.uid in self._deleted or self._has_gone_unseen(key, obj):
            return
        self._take(key, obj)

    def _has_gone_unseen(self, key: Key, obj: T) -> bool:
        """Whether a list that is newer than the object has not found it: the answer of a read may come after it."""
        listed = max(self._listed.get(None, 0), self._listed.get(key.namespace, 0))
        return _version(obj) <= listed and self._known(key, obj.metadata.name) is None

    def _take(self, key: Key, obj: T) -> None:
        known = self._known(key, obj.metadata.name)
        if known is not None and _version(known) >= _version(obj):
            # With another UID it is an earlier object of that name: a name has one holder at a time.
            return
        if known is not None and known.metadata.uid != obj.metadata.uid:
            self._forget(key, known)
        self._groups[key][obj.metadata.name] = obj
        self._changed(key)

    def restore(self, obj: T) -> None:
        """Take an object that a live read has found although its deletion was reported.

        It may have left the watch only; but a read that is older than the deletion proves nothing.
        """
        if _version(obj) < self._deleted.get(obj.metadata.uid, 0):
            return
        self._deleted.pop(obj.metadata.uid, None)
        key = self._group_of(obj)
        if key is not None:
            self._take(key, obj)

    def remove(self, obj: T) -> None:
        """Take the last state of an object that has gone."""
        key = self._group_of(obj)
        if key is None:
            return
        known = self._known(key, obj.metadata.name)
        if known is None or known.metadata.uid != obj.metadata.uid:
            self._bury(obj)
            return
        self._forget(key, obj, is_last_state=True)
        self._changed(key)

    def forget(self, key: Key, name: str, uid: str) -> None:
        """Drop an object of which a live read has said that it is no more."""
        known = self._known(key, name)
        if known is not None and known.metadata.uid == uid:
            self._forget(key, known)
            self._changed(key)

    def replace(self, objects: list[T], resource_version: str, namespace: str | None = None) -> None:
        """Take all objects, those of one namespace or of all, as of `resource_version`; what is not listed has gone."""
        present = {obj.metadata.uid for obj in objects}
        listed = int(resource_version)
        for key, group in list(self._groups.items()):
            if namespace is not None and key.namespace != namespace:
                continue
            for obj in list(group.values()):
                if obj.metadata.uid not in present and _version(obj) <= listed:
                    self._forget(key, obj)
                    self._changed(key)
        self._listed.pop(namespace, None)
        for obj in objects:
            self.apply(obj)
        self._listed[namespace] = listed

    def _known(self, key: Key, name: str) -> T | None:
        return self._groups.get(key, {}).get(name)

    def _forget(self, key: Key, obj: T, *, is_last_state: bool = False) -> None:
        group = self._groups[key]
        del group[obj.metadata.name]
        if not group:
            del self._groups[key]
        self._bury(obj)
        self._removed(key, obj, is_last_state)

    def _bury(self, obj: T) -> None:
        self._deleted[obj.metadata.uid] = _version(obj)
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)


def _version(obj: Any) -> int:
    # Resource versions of one kind are comparable numbers (KEP-5504); every API server has served such since 1.0.
    return int(obj.metadata.resource_version)


class Store:
    """Everything known, by TaskRun.

    Args:
        mark: called with the key of each run that something has changed for.
        settings: what the operator's flags decide.
        definition_changed: called with the key of each definition that has changed since it was reviewed.
        counted: called with the key of each definition of which other numbers of runs have a pod, or wait for one, or
            whose status may say other numbers.
        mark_later: the same as `mark`, after so many seconds; by default it is at once.
        retention_days: returns what the settings of a namespace say, as View.retention_days.
    """

    def __init__(
        self,
        mark: Callable[[Key], None],
        settings: Settings,
        definition_changed: Callable[[Key], None] = lambda _key: None,
        counted: Callable[[Key], None] = lambda _key: None,
        mark_later: Callable[[Key, float], None] | None = None,
        retention_days: Callable[[str], int | None] = lambda _namespace: None,
    ) -> None:
        self._mark = mark
        self._mark_later = mark_later or (lambda key, _seconds: mark(key))
        self._retention_days = retention_days
        self._definition_changed = definition_changed
        self._counted = counted
        self._settings = settings
        self.runs: Collection[TaskRun] = Collection(_own_key, self._run_changed, self._run_removed)
        self.pods: Collection[Pod] = Collection(_owner_key, self._pod_changed, self._pod_removed)
        self.records: Collection[Record] = Collection(_owner_key, mark)
        self.definitions: Collection[TaskDefinition] = Collection(_own_key, self._definition_has_changed)
        self.slots: Slots[Key, Key] = Slots(mark, counted, settings.max_running_pods)
        self._last_seen: dict[Key, dict[str, tuple[Pod, bool]]] = defaultdict(dict)
        self._gone: dict[Key, dict[str, Gone]] = defaultdict(dict)
        self._refusals: dict[Key, Refusal] = {}
        self._lost_records: defaultdict[Key, set[str]] = defaultdict(set)
        self._settled: defaultdict[Key, set[str]] = defaultdict(set)
        self._silences: dict[Key, Silence] = {}
        self._inputs: dict[Key, InputFacts] = {}
        self._specs: dict[Key, tuple[str, int]] = {}
        self._finished: FinishedRuns[Key, Key] = FinishedRuns()
        self._family: Family[Key] = Family()
        self._children_known_since: dict[Key, str] = {}

    def view(self, key: Key) -> View | None:
        """Return all that is known about a run, or None if there is no such run."""
        run = self.run(key)
        if run is None:
            return None
        definition = self.definition(key.namespace, run.spec.definition)
        return View(
            run=run,
            definition=definition,
            pods=self.pods.of(key),
            records=self.records.of(key),
            gone=dict(self._gone.get(key, {})),
            lost_records=frozenset(self._lost_records.get(key, ())),
            settled=frozenset(self._settled.get(key, ())),
            silence=self._silences.get(key),
            refusal=self._refusals.get(key),
            parent=self._parent(run),
            children=replace(self._family.summary(key), known_since=self._children_known_since.get(key)),
            input=self._inputs.get(key),
            slot=self.slots.slot(key),
            is_surplus=self._finished.newer_than(key) >= _kept_runs(definition),
            retention_days=self._retention_days(key.namespace),
            settings=self._settings,
        )

    def run(self, key: Key) -> TaskRun | None:
        """Return one run."""
        return next(iter(self.runs.of(key)), None)

    def definition(self, namespace: str, name: str) -> TaskDefinition | None:
        """Return one definition."""
        return next(iter(self.definitions.of(Key(namespace, name))), None)

    def confirm_gone(self, key: Key, name: str, uid: str, now: datetime) -> None:
        """Note that a live GET has said that a pod is no more."""
        self.pods.forget(key, name, uid)
        if not self._is_open(key):
            return
        last, is_last_state = self._last_seen.get(key, {}).get(uid, (None, False))
        gone = self._gone[key]
        gone[uid] = Gone(now, last, is_last_state)
        while len(gone) > _REMEMBERED_PODS:
            del gone[next(iter(gone))]

    def confirm_lost(self, key: Key, record: str) -> None:
        """Note that a live GET has said that a record, which the run needs, is no more."""
        for known in self.records.of(key):
            if known.metadata.name == record:
                self.records.forget(key, record, known.metadata.uid)
        if self._is_open(key):
            self._lost_records[key].add(record)

    def confirm_settled(self, key: Key, record: str) -> None:
        """Note that a record was read live, and is known as it was, after its pod had ended."""
        if self._is_open(key):
            self._settled[key].add(record)

    def confirm_silent(self, key: Key, silence: Silence) -> None:
        """Note that a live GET has found no newer sign of life in a record."""
        if self._is_open(key):
            self._silences[key] = silence

    def confirm_children(self, key: Key, record: str) -> None:
        """Note that all children that a run had when `record` was stored are known."""
        if self._is_open(key):
            self._children_known_since[key] = record

    def abort_refused(self, child: Key) -> None:
        """Note that a run cannot be aborted as it is, so that its parent's own abort goes on."""
        self._family.leave_alone(child)

    def refused(self, key: Key, refusal: Refusal) -> None:
        """Note that a pod or a record of the run was refused."""
        if self._is_open(key):
            self._refusals[key] = refusal

    def refusal(self, key: Key) -> Refusal | None:
        """Return what was refused last, if it has not been accepted since."""
        return self._refusals.get(key)

    def accepted(self, key: Key) -> None:
        """Note that a pod or record was taken: earlier refusals do not matter any more."""
        self._refusals.pop(key, None)

    def input_read(self, key: Key, definition: TaskDefinition, facts: InputFacts) -> None:
        """Note what was found in the input of a run, by what `definition` says."""
        known = self.definition(*_own_key(definition))
        if self._is_open(key) and known is not None and _spec_version(known) == _spec_version(definition):
            self._inputs[key] = facts

    def take_slot(self, key: Key, value: str | None) -> None:
        """Ask for a slot for a run; the next view tells what came of it."""
        run = self.run(key)
        if run is not None and run.status.phase not in FINISHED:
            self.slots.want(key, _definition_of(run), value, run.metadata.creation_timestamp)

    def retention_changed(self, namespace: str | None) -> None:
        """Have the finished runs looked at again that are kept for as long as a namespace says; None: all namespaces.

        Not all at once: each costs a plan, and maybe a deletion, and whatever goes on would have to wait for them.
        """
        here = (key for key in self.runs.all_keys() if namespace in {None, key.namespace})
        for number, key in enumerate(filter(self._is_kept_by_its_namespace, here)):
            self._mark_later(key, number / _REPLANNED_PER_SECOND)

    def _is_kept_by_its_namespace(self, key: Key) -> bool:
        run = self.run(key)
        if run is None or run.status.phase not in FINISHED:
            return False
        return housekeeping.own_ttl_seconds(run, self.definition(*_definition_of(run))) is None

    def _pod_changed(self, key: Key) -> None:
        run = self.run(key)
        if run is not None and not self.slots.has_slot(key) and run.status.phase not in FINISHED:
            self._follow_slot(key, run)
        self._mark(key)

    def _follow_slot(self, key: Key, run: TaskRun) -> None:
        """Let slots follow what is: this is how they are known after a restart, and given back by whoever waits."""
        status, definition = run.status, _definition_of(run)
        if status.phase in FINISHED:
            self.slots.leave(key)
        elif status.current is not None or self._has_live_pod(key, run):
            self.slots.occupy(key, definition, status.concurrency_key)
        elif self.slots.has_used_slot(key) or run.metadata.deletion_timestamp is not None:
            self.slots.leave(key)
        elif status.reason == admission.QUEUED:
            self.slots.want(key, definition, status.concurrency_key, run.metadata.creation_timestamp)

    def _has_live_pod(self, key: Key, run: TaskRun) -> bool:
        for pod in self.pods.of(key):
            owner = pod.metadata.owner_run()
            if owner is not None and owner.uid == run.metadata.uid and not pod.is_released:
                return True
        return False

    def _pod_removed(self, key: Key, pod: Pod, is_last_state: bool) -> None:
        if not self._is_open(key):
            return
        seen = self._last_seen[key]
        seen[pod.metadata.uid] = (pod, is_last_state)
        while len(seen) > _REMEMBERED_PODS:
            forgotten = next(iter(seen))
            del seen[forgotten]
            self._gone[key].pop(forgotten, None)

    def _is_open(self, key: Key) -> bool:
        """Whether pods may still come and go for a run: until it has finished and its hooks are done."""
        run = self.run(key)
        if run is None:
            return False
        if run.status.phase not in FINISHED:
            return True
        return hooks.follow(run.status, self.definition(key.namespace, run.spec.definition))

    def _run_changed(self, key: Key) -> None:
        run = self.run(key)
        if run is not None and run.spec.parent is not None:
            parent = Key(key.namespace, run.spec.parent)
            self._tell_parent(parent, self._family.note(key, parent, run))
        if run is None or run.status.phase in FINISHED:
            self._forget_details(key)
        elif not admission.is_new(run.status):
            self._inputs.pop(key, None)  # the status tells what followed from it
        if run is not None:
            self._follow_slot(key, run)
        if run is not None and run.status.phase in FINISHED:
            self._has_finished(key, run)
        self._mark(key)

    def _has_finished(self, key: Key, run: TaskRun) -> None:
        definition = _definition_of(run)
        if self._finished.add(definition, key, run.status.finished_at or run.metadata.creation_timestamp):
            self._tell_children(key)
        surplus = self._finished.first_beyond(definition, _kept_runs(self.definition(*definition)))
        if surplus is not None:
            self._mark(surplus)

    def _run_removed(self, key: Key, _run: TaskRun, _is_last_state: bool) -> None:
        self._forget_details(key)
        self._finished.remove(key)
        self.slots.leave(key)
        parent, change = self._family.remove(key)
        if parent is not None:
            self._tell_parent(parent, change)
        self._tell_children(key)

    def _parent(self, run: TaskRun) -> Parent | None:
        namespace = run.metadata.namespace
        parent = self.run(Key(namespace, run.spec.parent)) if run.spec.parent is not None else None
        if parent is None:
            return None
        definition = self.definition(namespace, parent.spec.definition)
        return Parent(
            uid=parent.metadata.uid,
            definition=parent.spec.definition,
            triggers=definition.spec.triggers if definition else None,
            is_aborted=parent.spec.abort is not None or parent.status.phase == "Aborted",
            is_finished=parent.status.phase in FINISHED,
            finished_at=parent.status.finished_at,
        )

    def _tell_parent(self, parent: Key, change: Change) -> None:
        known = self.run(parent)
        if known is None:
            return
        is_to_abort = change.is_new and known.spec.abort is not None and known.spec.abort.cascade
        if change.is_over or change.is_adopted or is_to_abort:
            self._mark(parent)

    def _tell_children(self, key: Key) -> None:
        """Have the children of a run that has ended, or gone, looked at: for how long they are kept depends on it."""
        for child in self._family.of(key):
            self._mark(child)

    def _forget_details(self, key: Key) -> None:
        """Drop what matters only while pods come and go: finished runs stay in memory for months."""
        self._last_seen.pop(key, None)
        self._gone.pop(key, None)
        self._refusals.pop(key, None)
        self._lost_records.pop(key, None)
        self._settled.pop(key, None)
        self._silences.pop(key, None)
        self._children_known_since.pop(key, None)
        self._inputs.pop(key, None)

    def _definition_has_changed(self, definition: Key) -> None:
        known = self.definition(definition.namespace, definition.name)
        if known is not None and known.status.observed_generation != known.metadata.generation:
            self._definition_changed(definition)
        self._counted(definition)
        if not self._has_new_spec(definition, known):
            return  # only its status, which the operator itself writes
        for key in self.runs.all_keys():
            run = self.run(key)
            if key.namespace == definition.namespace and run is not None and run.spec.definition == definition.name:
                self._refusals.pop(key, None)  # the definition may have been mended
                self._inputs.pop(key, None)
                self._mark(key)

    def _has_new_spec(self, definition: Key, known: TaskDefinition | None) -> bool:
        """Take the limits of a definition that has changed; tell whether anything but its status has."""
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
    # One that lost its owner, or is somebody else's, still has a name that only this run may use.
    return Key(obj.metadata.namespace, owner.name if owner else names.run_of(name))
