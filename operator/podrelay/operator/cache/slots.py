"""Which runs may have a pod: limits on how many have one at the same time, and those that wait. In memory, no I/O.

A run has a slot from the moment at which it is granted, or at which a pod of it is seen, until it is given back. Runs
of definitions without a limit have slots, too: they are counted, and a limit that comes later knows of them.

Within a definition slots are granted by age, the oldest run first. Between definitions that share a limit the namespace
that has the fewest slots comes first, then the definition that has the fewest: a burst in one does not stop the others.
A run that waits for its value's limit does not hold up younger ones with other values, nor does a definition that is at
its limit hold up others: of each value only the oldest run is looked at, and only while the value has a free slot
(`_Line.heads`). So a grant costs little, however many runs wait.
While the value of a run with a slot is not known, as after a crash right after its pod was made, it may be any: then no
run gets a slot that has a limit of its value to keep.
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
    """The limits of one definition; None: there is none."""

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
    """The runs of one definition that wait, each as (creation, run)."""

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
        """Bring the head of `value` up to date."""
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
        """Return the runs at the places 1, 2, 4, 8 and so on: only these can have come half of their way."""
        return [self.order[2**power - 1][1] for power in range(len(self.order).bit_length())]


class Slots(Generic[D, R]):
    """Grants slots to runs `R` of definitions `D`. Both have to have an order: it decides between runs of one age.

    Args:
        mark: called with each run for which something has changed: it has a slot now, or its place has halved.
        counted: called with each definition of which another number of runs has a slot, or waits.
        total: how many runs of all definitions may have a slot; None: no limit.
        namespace_of: returns the namespace of a definition; by default there is but one.
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
        """Forget who has a slot, or waits for one, and grant none until `open()`. Limits stay."""
        self._is_open = False
        self._holders: dict[R, _Holder[D]] = {}
        self._wishes: dict[R, _Request[D]] = {}
        self._lines: defaultdict[D, _Line[R]] = defaultdict(_Line)
        self._held: Counter[D] = Counter()
        self._held_in: Counter[str] = Counter()
        self._held_by_value: Counter[tuple[D, str]] = Counter()
        self._held_by_unknown: Counter[D] = Counter()

    # --- what is known ------------------------------------------------------------------------------------------------

    def slot(self, run: R) -> Slot | None:
        """Return where a run stands; None if it neither has a slot nor waits for one."""
        if run in self._holders:
            return _GRANTED
        request = self._wishes.get(run)
        if request is None:
            return None
        place = self._lines[request.definition].place((request.created, run))
        for scope, held, limit in self._scopes(request.definition, request.value):
            if limit is not None and held >= limit:
                return Slot(is_granted=False, place=place, scope=scope, held=held, limit=limit)
        return Slot(is_granted=False, place=place)

    def has_slot(self, run: R) -> bool:
        """Tell whether the run has a slot."""
        return run in self._holders

    def has_used_slot(self, run: R) -> bool:
        """Tell whether the run has a slot, and a pod of it has been seen since it was granted."""
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
        """Begin to grant slots: everything that holds one, or waits, is known, and nobody else grants any."""
        self._is_open = True
        self._grant(list(self._lines))

    def set_limits(self, definition: D, limits: Limits | None) -> None:
        """Take the limits of a definition. None: there is no such definition, so none of its runs gets a slot."""
        if limits is None:
            self._limits.pop(definition, None)
        else:
            self._limits[definition] = limits
        self._settle_all(definition)
        self._grant([definition])

    def occupy(self, run: R, definition: D, value: str | None) -> None:
        """Note that the run has a pod, whether or not it was granted a slot. A value that is None is not known."""
        holder = self._holders.get(run)
        if holder is None:
            request = self._forget_request(run)
            known = value if value is not None or request is None else request.value
            self._hold(run, _Holder(definition, known, is_used=True))
            self._tell_places(definition)
            return
        holder.is_used = True
        if holder.value is None and value is not None:
            self._count(holder, -1)
            holder.value = value
            self._count(holder, 1)
            self._grant([definition])

    def want(self, run: R, definition: D, value: str | None, created: datetime) -> None:
        """Ask for a slot, which may be granted at once. To ask again changes nothing."""
        request = _Request(definition, value, created)
        if run in self._holders or self._wishes.get(run) == request:
            return
        self._forget_request(run)
        self._wishes[run] = request
        self._lines[definition].add((created, run), value)
        self._settle(definition, value)
        self._counted(definition)
        self._grant([definition])

    def leave(self, run: R) -> None:
        """Give the slot back, or the place in the queue; whoever is next gets it."""
        holder = self._holders.pop(run, None)
        if holder is not None:
            self._count(holder, -1)
            self._counted(holder.definition)
            self._grant_others(holder.definition)
        else:
            request = self._forget_request(run)
            if request is not None:
                self._tell_places(request.definition)

    def _forget_request(self, run: R) -> _Request[D] | None:
        request = self._wishes.pop(run, None)
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
        """Count a run in, or out, and see whose turn that makes it."""
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
        """Grant what a run of `definition` has given back to whoever shares a limit with it."""
        if self._total is not None:
            self._grant(list(self._lines))
        elif self._per_namespace is not None:
            namespace = self._namespace_of(definition)
            self._grant([other for other in self._lines if self._namespace_of(other) == namespace])
        else:
            self._grant([definition])

    def _grant(self, definitions: list[D]) -> None:
        """Grant what is free to those runs of these definitions whose turn it is."""
        while self._is_open and (self._total is None or len(self._holders) < self._total):
            following = min(filter(self._has_next, definitions), key=self._turn, default=None)
            if following is None:
                return
            run = self._lines[following].heads[0][1]
            request = self._forget_request(run)
            assert request is not None  # noqa: S101 - it was in the line
            self._hold(run, _Holder(request.definition, request.value, is_used=False))
            self._mark(run)
            self._tell_places(request.definition)

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

    def _tell_places(self, definition: D) -> None:
        if definition in self._lines:
            for run in self._lines[definition].milestones():
                self._mark(run)


def _add(counter: Counter[K], key: K, change: int) -> None:
    counter[key] += change
    if not counter[key]:
        del counter[key]


def _discard(ordered: list[tuple[datetime, R]], entry: tuple[datetime, R]) -> None:
    del ordered[bisect_left(ordered, entry)]
