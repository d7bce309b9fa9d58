"""Which runs have a slot, or wait for one, as their pods and statuses show.

This also restores the slots after a restart.
"""

from collections.abc import Callable
from typing import Final

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator import object_rules
from podrelay.operator.cache.collection import Collection
from podrelay.operator.cache.run_id import RunId
from podrelay.operator.cache.slots import Slots
from podrelay.operator.objects.runs import TaskRun, TaskRunStatus
from podrelay.operator.pods import Pod


class Seats:
    """Keeps the slots in line with the cache.

    Args:
        slots: the slots of the runs.
        run: returns one run.
        pods: the pods, by the name of their run.
        is_open: returns whether the run of a name may still have pods.
    """

    def __init__(
        self,
        slots: Slots[Key, RunId],
        run: Callable[[Key], TaskRun | None],
        pods: Collection[Pod],
        is_open: Callable[[Key], bool],
    ) -> None:
        self._slots: Final = slots
        self._run: Final = run
        self._pods: Final = pods
        self._is_open: Final = is_open
        self._taken: dict[Key, set[RunId]] = {}
        """The runs of each name that have a slot, or wait for one; several while pods of a deleted run still exist."""
        self._lagging: set[Key] = set()
        """The runs with a pod that reports by message, and whose start or end their status does not show yet."""

    @property
    def lagging(self) -> int:
        """How many runs have a pod that reports by message, and whose start or end their status does not show yet."""
        return len(self._lagging)

    def begin_term(self) -> None:
        """Forget the slots of an earlier leadership term; call `follow` for each run and pod afterwards."""
        self._taken.clear()
        self._slots.reset()

    def want(self, run: TaskRun, value: str | None) -> None:
        """Request a slot for a run; `value` belongs to the concurrency of its definition."""
        run_id = RunId.of(run)
        self._taken.setdefault(run_id.key, set()).add(run_id)
        self._slots.want(run_id, _definition_of(run), value, run.metadata.creation_timestamp)

    def leave(self, run: TaskRun) -> None:
        """Give back the slot of a run, or its place in the queue."""
        self._leave(RunId.of(run).key, RunId.of(run))

    def follow(self, key: Key) -> None:
        """Update the slots from the pods: a pod that may still run holds a slot, regardless of the state of its run."""
        working, run = self._working_pods(key), self._run(key)
        for run_id, pod in working.items():
            status = self._status_of(run_id)
            # A user may have removed the label; it is only needed for pods whose run no longer exists.
            labelled = Key(key.namespace, pod.metadata.labels.get(names.LABEL_DEFINITION, ""))
            definition = _definition_of(run) if run is not None and run_id == RunId.of(run) else labelled
            self._occupy(key, run_id, definition, status.concurrency_key if status is not None else None)
        own = RunId.of(run) if run is not None else None
        if run is not None and self._lags(key, run):
            self._lagging.add(key)
        else:
            self._lagging.discard(key)
        for run_id in self._taken.get(key, set()) - working.keys() - {own}:
            self._leave(key, run_id)
        if run is not None and own is not None and own not in working:
            self._follow_status(key, run, own)

    def _follow_status(self, key: Key, run: TaskRun, own: RunId) -> None:
        """Update the slot of a run without a running pod from its status."""
        status = run.status
        is_open = self._is_open(key)
        if is_open and status.phase not in FINISHED and (status.current is not None or self._has_due_pod(key, run)):
            self._occupy(key, own, _definition_of(run), status.concurrency_key)
        elif not is_open or self._slots.has_used_slot(own) or run.metadata.deletion_timestamp is not None:
            self._leave(key, own)
        elif status.reason == object_rules.QUEUED:
            self.want(run, status.concurrency_key)

    def _lags(self, key: Key, run: TaskRun) -> bool:
        """Return whether a run has a pod that reports by message, and whose start or end its status does not show."""
        if run.status.phase in FINISHED:
            return False
        shown = names.iteration_of(run.status.last_record or "")
        return any(
            pod.is_released or not object_rules.is_named(run.status, pod)
            for pod in self._pods.of(key)
            if pod.reports_by_message and names.iteration_of(pod.metadata.name) > shown and _belongs_to(pod, run)
        )

    def _has_due_pod(self, key: Key, run: TaskRun) -> bool:
        """Return whether the due pod exists, although the status does not name it yet; it may have ended already."""
        due = object_rules.due_pod_name(run)
        return any(
            pod.metadata.name == due and _belongs_to(pod, run) and not _was_given_back(pod)
            for pod in self._pods.of(key)
        )

    def _working_pods(self, key: Key) -> dict[RunId, Pod]:
        """Return a pod whose container may be running, for each run of this name that has one."""
        found: dict[RunId, Pod] = {}
        for pod in self._pods.of(key):
            owner = pod.metadata.owner_run()
            if owner is not None and not pod.is_released:
                found[RunId(key.namespace, owner.name, owner.uid)] = pod
        return found

    def _status_of(self, run_id: RunId) -> TaskRunStatus | None:
        run = self._run(run_id.key)
        return run.status if run is not None and run.metadata.uid == run_id.uid else None

    def _occupy(self, key: Key, run_id: RunId, definition: Key, value: str | None) -> None:
        self._taken.setdefault(key, set()).add(run_id)
        self._slots.occupy(run_id, definition, value)

    def _leave(self, key: Key, run_id: RunId) -> None:
        taken = self._taken.get(key)
        if taken is not None:
            taken.discard(run_id)
            if not taken:
                del self._taken[key]
        self._slots.leave(run_id)


def _belongs_to(pod: Pod, run: TaskRun) -> bool:
    owner = pod.metadata.owner_run()
    return owner is not None and owner.uid == run.metadata.uid


def _was_given_back(pod: Pod) -> bool:
    """Return whether a pod that has ended was created ahead, and deleted before its turn: another one gets its name."""
    return pod.metadata.annotations.after is not None and pod.metadata.deletion_timestamp is not None


def _definition_of(run: TaskRun) -> Key:
    return Key(run.metadata.namespace, run.spec.definition)
