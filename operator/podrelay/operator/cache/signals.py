"""All TaskSignals, and for each run those that were accepted and not consumed yet, in their order.

A run may have any number of signals. So a view never contains all of them, and a signal only marks its run for
reconciliation if the run waits for it.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

from podrelay.api import limits
from podrelay.api.phases import FINISHED
from podrelay.kube.resources import Key
from podrelay.operator import object_rules
from podrelay.operator.cache.collection import Collection
from podrelay.operator.objects import TaskRun
from podrelay.operator.signal_objects import CONSUMED, TaskSignal
from podrelay.operator.view import Inbox, WaitingSignal


class _Place(NamedTuple):
    created: datetime
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
        self._known_runs: dict[Key, tuple[str, bool]] = {}
        """For runs with pending signals: the UID, and whether the run is finished."""

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

    def inbox(self, run: TaskRun) -> Inbox:
        """Return the signals of a run."""
        return Inbox(partial(self._oldest, run), partial(self._find, run), partial(self._is_consumed, run))

    def _oldest(self, run: TaskRun, name: str) -> tuple[WaitingSignal, ...]:
        namespace = run.metadata.namespace
        found: list[WaitingSignal] = []
        for place in self._places(Key(namespace, run.metadata.name), name):
            signal = self.signal(Key(namespace, place.name))
            if signal is not None and _belongs_to(signal, run):
                found.append(_waiting(signal))
                if len(found) == limits.SIGNALS_AT_ONCE:
                    break
        return tuple(found)

    def _places(self, run: Key, name: str) -> list[_Place]:
        by_name = self._accepted.get(run)
        return by_name.get(name, []) if by_name is not None else []

    def _find(self, run: TaskRun, name: str) -> WaitingSignal | None:
        signal = self.signal(Key(run.metadata.namespace, name))
        return _waiting(signal) if signal is not None and _belongs_to(signal, run) else None

    def _is_consumed(self, run: TaskRun, name: str) -> bool:
        signal = self.signal(Key(run.metadata.namespace, name))
        return signal is not None and signal.status.phase == CONSUMED and signal.spec.task_run == run.metadata.name

    def run_changed(self, key: Key) -> None:
        """Mark the pending signals of a run that has appeared, finished, or is gone; other changes do not matter."""
        if key not in self._pending:
            return
        run = self._find_run(key)
        state = (run.metadata.uid, run.status.phase in FINISHED) if run is not None else ("", False)
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
        places.remove(_place(signal))
        if not places:
            del self._accepted[run][signal.spec.signal]
        if not self._accepted[run]:
            del self._accepted[run]


def _waiting(signal: TaskSignal) -> WaitingSignal:
    about, spec = signal.metadata, signal.spec
    sender = about.annotations.created_by or ""
    return WaitingSignal(about.name, spec.signal, about.creation_timestamp, spec.size, spec.decision, sender)


def _belongs_to(signal: TaskSignal, run: TaskRun) -> bool:
    owner = signal.metadata.owner_run()
    return owner is not None and owner.uid == run.metadata.uid


def _place(signal: TaskSignal) -> _Place:
    return _Place(signal.metadata.creation_timestamp, signal.metadata.name, signal.metadata.uid)


def _own_key(signal: TaskSignal) -> Key:
    return Key(signal.metadata.namespace, signal.metadata.name)


def _run_key(signal: TaskSignal) -> Key:
    return Key(signal.metadata.namespace, signal.spec.task_run)
