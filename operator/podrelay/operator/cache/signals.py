"""All TaskSignals, and for each run those that were accepted and not consumed yet, in their order.

A run may have any number of signals. So a view never contains all of them, and a signal only marks its run for
reconciliation if the run waits for it.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from podrelay.api import limits, names
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator import object_rules
from podrelay.operator.cache.collection import Collection
from podrelay.operator.objects.records import Record
from podrelay.operator.objects.runs import TaskRun
from podrelay.operator.objects.signals import CONSUMED, TaskSignal
from podrelay.operator.pods import Pod
from podrelay.operator.view import EMPTY_INBOX, Inbox, WaitingSignal


class _Place(NamedTuple):
    sent: datetime
    name: str
    uid: str


class SignalCache:
    """The signals of all runs.

    Args:
        mark: called with the key of each signal that has to be judged.
        mark_run: called with the key of each run that may have got what it waits for.
        find_run: returns a run.
        restored: called when the API server has gone back in time.
    """

    def __init__(
        self,
        mark: Callable[[Key], None],
        mark_run: Callable[[Key], None],
        find_run: Callable[[Key], TaskRun | None],
        restored: Callable[[], None],
    ) -> None:
        self._mark = mark
        self._mark_run = mark_run
        self._find_run = find_run
        self.signals: Collection[TaskSignal] = Collection(_own_key, self._changed, self._removed, restored)
        self._pending: defaultdict[Key, dict[Key, None]] = defaultdict(dict)
        """The signals that are neither consumed nor rejected, by run."""
        self._accepted: defaultdict[Key, defaultdict[str, list[_Place]]] = defaultdict(lambda: defaultdict(list))
        """Those that were accepted, by run and name of the signal, the oldest first."""
        self._accepted_uids: set[str] = set()
        self._known_runs: dict[Key, tuple[str, bool, bool]] = {}
        """For runs with pending signals: the UID, and whether the run is finished, or not completely imported yet."""

    def begin_term(self) -> None:
        """Forget what was accepted in an earlier leadership term, and mark all signals that are pending."""
        self._accepted.clear()
        self._accepted_uids.clear()
        for run in list(self._pending):
            self.run_is_new(run)

    def signal(self, key: Key) -> TaskSignal | None:
        """Return one signal."""
        return next(iter(self.signals.of(key)), None)

    def is_accepted(self, signal: TaskSignal) -> bool:
        """Return whether a signal was accepted."""
        return signal.metadata.uid in self._accepted_uids

    def accept(self, signal: TaskSignal) -> None:
        """Note that a signal that is pending was accepted, and mark its run if it waits for this signal."""
        uid = signal.metadata.uid
        if uid in self._accepted_uids or self.signal(_own_key(signal)) != signal:
            return
        run = _run_key(signal)
        self._accepted_uids.add(uid)
        insort(self._accepted[run][signal.spec.signal], _place(signal))
        known = self._find_run(run)
        if known is not None and object_rules.waits_for_signal(known.status, signal.spec.signal):
            self._mark_run(run)

    def has_decided(self, signal: TaskSignal) -> bool:
        """Return whether another accepted signal of this name is a decision of the same user about the same run."""
        sender = signal.metadata.annotations.created_by
        accepted = self._places(_run_key(signal), signal.spec.signal)
        others = (self.signal(Key(signal.metadata.namespace, place.name)) for place in accepted)
        return any(
            other is not None
            and other.metadata.uid != signal.metadata.uid
            and other.metadata.annotations.created_by == sender
            for other in others
        )

    def inbox(self, run: TaskRun, pods: tuple[Pod, ...], records: tuple[Record, ...]) -> Inbox:
        """Return the signals that the next decisions about a run depend on, given its pods and records."""
        awaited, named = _signals_of(run, pods, records)
        if not awaited and not named:
            return EMPTY_INBOX
        waiting = [_waiting(signal) for name in awaited for signal in self._oldest(run, name)]
        known = [_waiting(signal) for name in named if (signal := self._of(run, name)) is not None]
        return Inbox(
            tuple(waiting),
            {signal.name: signal for signal in (*waiting, *known) if signal.decision is not None},
            frozenset(name for name in named if self._is_consumed(run, name)),
        )

    def _oldest(self, run: TaskRun, name: str) -> Iterable[TaskSignal]:
        places = self._places(Key(run.metadata.namespace, run.metadata.name), name)
        return islice(filter(None, (self._of(run, place.name) for place in places)), limits.SIGNALS_AT_ONCE)

    def _places(self, run: Key, name: str) -> list[_Place]:
        by_name = self._accepted.get(run)
        return by_name.get(name, []) if by_name is not None else []

    def _of(self, run: TaskRun, name: str) -> TaskSignal | None:
        signal = self.signal(Key(run.metadata.namespace, name))
        return signal if signal is not None and _belongs_to(signal, run) else None

    def _is_consumed(self, run: TaskRun, name: str) -> bool:
        signal = self.signal(Key(run.metadata.namespace, name))
        return signal is not None and signal.status.phase == CONSUMED and signal.spec.task_run == run.metadata.name

    def run_changed(self, key: Key) -> None:
        """Mark the pending signals of a run that has appeared, finished, is gone, or was imported completely.

        Other changes do not matter.
        """
        if key not in self._pending:
            return
        run = self._find_run(key)
        state = ("", False, False)
        if run is not None:
            state = (run.metadata.uid, run.status.phase in FINISHED, run.is_incomplete)
        if self._known_runs.get(key) != state:
            self._known_runs[key] = state
            self.run_is_new(key)

    def run_is_new(self, run: Key) -> None:
        """Mark the pending signals of a run, for example because its definition has changed."""
        for key in self._pending.get(run, ()):
            self._mark(key)

    def _changed(self, key: Key) -> None:
        signal = self.signal(key)
        if signal is None:
            return
        if signal.is_pending:
            self._pending[_run_key(signal)][key] = None
            self._mark(key)
        else:
            self._forget(key, signal)

    def _removed(self, key: Key, signal: TaskSignal, _is_last_state: bool) -> None:
        self._forget(key, signal)

    def _forget(self, key: Key, signal: TaskSignal) -> None:
        run = _run_key(signal)
        if run in self._pending:
            self._pending[run].pop(key, None)
            if not self._pending[run]:
                del self._pending[run]
                self._known_runs.pop(run, None)
        if signal.metadata.uid not in self._accepted_uids:
            return
        self._accepted_uids.remove(signal.metadata.uid)
        places = self._accepted[run][signal.spec.signal]
        del places[bisect_left(places, _place(signal))]
        if not places:
            del self._accepted[run][signal.spec.signal]
        if not self._accepted[run]:
            del self._accepted[run]


def _signals_of(
    run: TaskRun, pods: tuple[Pod, ...], records: tuple[Record, ...]
) -> tuple[dict[str, None], dict[str, None]]:
    """Return the names of the signals that a run may wait for, and the TaskSignals that pods and answers name.

    Only the last answer that was applied, and the answers after it, still have an effect.
    """
    awaited: dict[str, None] = {}
    named: dict[str, None] = {}
    for record in records:
        response = record.response
        if response is None or (response.wait_for_signal is None and not response.signals):
            continue
        if record.iteration < names.iteration_of(run.status.last_record or ""):
            continue
        named.update(dict.fromkeys(response.signals))
        if response.wait_for_signal is not None:
            awaited.update(dict.fromkeys(response.wait_for_signal.names))
    for pod in pods:
        if pod.metadata.annotations.signals:
            named.update(dict.fromkeys(pod.signals))
    return awaited, named


def _waiting(signal: TaskSignal) -> WaitingSignal:
    about, spec = signal.metadata, signal.spec
    sender = about.annotations.created_by or ""
    restored_by = about.annotations.restored_by
    return WaitingSignal(about.name, spec.signal, signal.sent_at, spec.size, spec.decision, sender, restored_by)


def _belongs_to(signal: TaskSignal, run: TaskRun) -> bool:
    owner = signal.metadata.owner_run()
    return owner is not None and owner.uid == run.metadata.uid


def _place(signal: TaskSignal) -> _Place:
    return _Place(signal.sent_at, signal.metadata.name, signal.metadata.uid)


def _own_key(signal: TaskSignal) -> Key:
    return Key(signal.metadata.namespace, signal.metadata.name)


def _run_key(signal: TaskSignal) -> Key:
    return Key(signal.metadata.namespace, signal.spec.task_run)
