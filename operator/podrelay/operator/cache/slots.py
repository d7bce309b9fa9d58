"""Slots limit how many runs have a pod at the same time; the other runs wait in a queue. In memory, no I/O.

A run has a slot from the moment it is granted, or a pod of the run is seen, until the slot is given back. Runs of
definitions without a limit have slots, too: they are counted, so that a limit that is added later includes them.

Within a definition, slots are granted by age, the oldest run first. Between definitions that share a limit, the
namespace with the fewest slots comes first, then the definition with the fewest: a burst in one does not stop the
others. A run that waits for the limit of its value does not delay younger runs with other values, and a definition that
has reached its limit does not delay others: of each value, only the oldest run is considered, and only while the value
has a free slot (`_Line.heads`). So a grant is cheap, regardless of how many runs wait.

While the value of a run with a slot is unknown, for example after a crash right after its pod was created, it could be
any value: then no run whose value is limited gets a slot.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from podrelay.operator.view import Scope, Slot

D = TypeVar("D", bound=Hashable)
R = TypeVar("R", bound=Hashable)
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one definition; None: no limit."""

    runs: int | None = None
    per_value: int | None = None


_GRANTED = Slot(is_granted=True)


@dataclass(slots=True)
class _Holder(Generic[D]):
    definition: D
    value: str | None
    is_used: bool


@dataclass(frozen=True, slots=True)
class _Request(Generic[D]):
    definition: D
    value: str | None
    created: datetime


class _Line(Generic[R]):
    """The waiting runs of one definition, each as (creation, run)."""

    def __init__(self) -> None:
        self.order: list[tuple[datetime, R]] = []
        self.heads: list[tuple[datetime, R]] = []
        """The oldest run of each value that has a free slot."""
        self._by_value: defaultdict[str | None, list[tuple[datetime, R]]] = defaultdict(list)
        self._head_of: dict[str | None, tuple[datetime, R]] = {}

    def add(self, entry: tuple[datetime, R], value: str | None) -> None:
        insort(self.order, entry)
        insort(self._by_value[value], entry)

    def remove(self, entry: tuple[datetime, R], value: str | None) -> None:
        _discard(self.order, entry)
        _discard(self._by_value[value], entry)
        if not self._by_value[value]:
            del self._by_value[value]

    def settle(self, value: str | None, *, is_free: bool) -> None:
        """Update the head of `value`."""
        before = self._head_of.pop(value, None)
        if before is not None:
            _discard(self.heads, before)
        if is_free and value in self._by_value:
            self._head_of[value] = self._by_value[value][0]
            insort(self.heads, self._head_of[value])

    def values(self) -> list[str | None]:
        return list(self._by_value)

    def place(self, entry: tuple[datetime, R]) -> int:
        return bisect_left(self.order, entry) + 1

    def milestones(self) -> list[R]:
        """Return the runs at the positions 1, 2, 4, 8 and so on: only the position of these can have halved."""
        return [self.order[2**power - 1][1] for power in range(len(self.order).bit_length())]


class Slots(Generic[D, R]):
    """Grants slots to runs `R` of definitions `D`. Both must be orderable: the order decides between runs of one age.

    Args:
        mark: called with each run that got a slot, or whose queue position has halved.
        counted: called with each definition whose number of runs that have a slot, or wait for one, has changed.
        total: how many runs of all definitions may have a slot; None: no limit.
        namespace_of: returns the namespace of a definition; by default there is only one.
        per_namespace: how many runs of one namespace may have a slot; None: no limit.
    """

    def __init__(
        self,
        mark: Callable[[R], None],
        counted: Callable[[D], None],
        total: int | None = None,
        namespace_of: Callable[[D], str] = lambda _definition: "",
        per_namespace: int | None = None,
    ) -> None:
        self._mark = mark
        self._counted = counted
        self._total = total
        self._namespace_of = namespace_of
        self._per_namespace = per_namespace
        self._limits: dict[D, Limits] = {}
        self.reset()

    def reset(self) -> None:
        """Forget all slots and waiting runs, and grant no slots until `open()`. Limits are kept."""
        self._is_open = False
        self._holders: dict[R, _Holder[D]] = {}
        self._requests: dict[R, _Request[D]] = {}
        self._lines: defaultdict[D, _Line[R]] = defaultdict(_Line)
        self._held: Counter[D] = Counter()
        self._held_in: Counter[str] = Counter()
        self._held_by_value: Counter[tuple[D, str]] = Counter()
        self._held_by_unknown: Counter[D] = Counter()

    # --- what is known ------------------------------------------------------------------------------------------------

    def slot(self, run: R) -> Slot | None:
        """Return the slot of a run, or its place in the queue; None if it neither has a slot nor waits for one."""
        if run in self._holders:
            return _GRANTED
        request = self._requests.get(run)
        if request is None:
            return None
        place = self._lines[request.definition].place((request.created, run))
        for scope, held, limit in self._scopes(request.definition, request.value):
            if limit is not None and held >= limit:
                return Slot(is_granted=False, place=place, scope=scope, held=held, limit=limit)
        return Slot(is_granted=False, place=place)

    def has_slot(self, run: R) -> bool:
        """Return whether the run has a slot."""
        return run in self._holders

    def has_used_slot(self, run: R) -> bool:
        """Return whether the run has a slot, and a pod of it has been seen since it was granted."""
        holder = self._holders.get(run)
        return holder is not None and holder.is_used

    def active(self, definition: D) -> int:
        """Return how many runs of the definition have a slot."""
        return self._held[definition]

    def queued(self, definition: D) -> int:
        """Return how many runs of the definition wait for one."""
        return len(self._lines[definition].order) if definition in self._lines else 0

    def _scopes(self, definition: D, value: str | None) -> Iterable[tuple[Scope, int, int | None]]:
        limits = self._limits.get(definition, Limits())
        if value is not None:
            yield "value", self._held_by_value[definition, value], limits.per_value
        yield "definition", self._held[definition], limits.runs
        yield "namespace", self._held_in[self._namespace_of(definition)], self._per_namespace
        yield "operator", len(self._holders), self._total

    # --- what happens -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Start granting slots: all holders and waiting runs are known now, and no other replica grants any."""
        self._is_open = True
        self._grant(list(self._lines))

    def set_limits(self, definition: D, limits: Limits | None) -> None:
        """Store the limits of a definition. None: the definition does not exist, so none of its runs gets a slot."""
        if limits is None:
            self._limits.pop(definition, None)
        else:
            self._limits[definition] = limits
        self._settle_all(definition)
        self._grant([definition])

    def occupy(self, run: R, definition: D, value: str | None) -> None:
        """Note that the run has a pod, whether or not it was granted a slot. None as value means that it is unknown."""
        holder = self._holders.get(run)
        if holder is None:
            request = self._forget_request(run)
            known = value if value is not None or request is None else request.value
            self._hold(run, _Holder(definition, known, is_used=True))
            self._mark_milestones(definition)
            return
        holder.is_used = True
        if holder.value is None and value is not None:
            self._count(holder, -1)
            holder.value = value
            self._count(holder, 1)
            self._grant([definition])

    def want(self, run: R, definition: D, value: str | None, created: datetime) -> None:
        """Request a slot, which may be granted at once. A repeated request changes nothing."""
        request = _Request(definition, value, created)
        if run in self._holders or self._requests.get(run) == request:
            return
        self._forget_request(run)
        self._requests[run] = request
        self._lines[definition].add((created, run), value)
        self._settle(definition, value)
        self._counted(definition)
        self._grant([definition])

    def leave(self, run: R) -> None:
        """Give back the slot, or the place in the queue; the next waiting run gets it."""
        holder = self._holders.pop(run, None)
        if holder is not None:
            self._count(holder, -1)
            self._counted(holder.definition)
            self._grant_others(holder.definition)
        else:
            request = self._forget_request(run)
            if request is not None:
                self._mark_milestones(request.definition)

    def _forget_request(self, run: R) -> _Request[D] | None:
        request = self._requests.pop(run, None)
        if request is None:
            return None
        line = self._lines[request.definition]
        line.remove((request.created, run), request.value)
        self._settle(request.definition, request.value)
        if not line.order:
            del self._lines[request.definition]
        self._counted(request.definition)
        return request

    def _hold(self, run: R, holder: _Holder[D]) -> None:
        self._holders[run] = holder
        self._count(holder, 1)
        self._counted(holder.definition)

    def _count(self, holder: _Holder[D], change: int) -> None:
        """Count a run in or out, and update which waiting runs have a free slot."""
        definition, value = holder.definition, holder.value
        _add(self._held, definition, change)
        _add(self._held_in, self._namespace_of(definition), change)
        if value is not None:
            _add(self._held_by_value, (definition, value), change)
            self._settle(definition, value)
        else:
            _add(self._held_by_unknown, definition, change)
            self._settle_all(definition)

    def _settle(self, definition: D, value: str | None) -> None:
        if definition in self._lines:
            self._lines[definition].settle(value, is_free=self._is_free(definition, value))

    def _settle_all(self, definition: D) -> None:
        if definition in self._lines:
            for value in self._lines[definition].values():
                self._settle(definition, value)

    def _is_free(self, definition: D, value: str | None) -> bool:
        limit = self._limits.get(definition, Limits()).per_value
        if limit is None:
            return True
        if value is None or self._held_by_unknown[definition]:
            return False
        return self._held_by_value[definition, value] < limit

    def _grant_others(self, definition: D) -> None:
        """Grant a slot that a run of `definition` gave back to a run that shares a limit with it."""
        if self._total is not None:
            self._grant(list(self._lines))
        elif self._per_namespace is not None:
            namespace = self._namespace_of(definition)
            self._grant([other for other in self._lines if self._namespace_of(other) == namespace])
        else:
            self._grant([definition])

    def _grant(self, definitions: list[D]) -> None:
        """Grant the free slots to the runs of these definitions that are next."""
        while self._is_open and (self._total is None or len(self._holders) < self._total):
            following = min(filter(self._has_next, definitions), key=self._turn, default=None)
            if following is None:
                return
            run = self._lines[following].heads[0][1]
            request = self._forget_request(run)
            assert request is not None  # noqa: S101 - it was in the queue
            self._hold(run, _Holder(request.definition, request.value, is_used=False))
            self._mark(run)
            self._mark_milestones(request.definition)

    def _turn(self, definition: D) -> tuple[int, int, tuple[datetime, R]]:
        held_in = self._held_in[self._namespace_of(definition)]
        return held_in, self._held[definition], self._lines[definition].heads[0]

    def _has_next(self, definition: D) -> bool:
        limits = self._limits.get(definition)
        if limits is None or definition not in self._lines or not self._lines[definition].heads:
            return False
        if self._per_namespace is not None and self._held_in[self._namespace_of(definition)] >= self._per_namespace:
            return False
        return limits.runs is None or self._held[definition] < limits.runs

    def _mark_milestones(self, definition: D) -> None:
        if definition in self._lines:
            for run in self._lines[definition].milestones():
                self._mark(run)


def _add(counter: Counter[K], key: K, change: int) -> None:
    counter[key] += change
    if not counter[key]:
        del counter[key]


def _discard(ordered: list[tuple[datetime, R]], entry: tuple[datetime, R]) -> None:
    del ordered[bisect_left(ordered, entry)]
