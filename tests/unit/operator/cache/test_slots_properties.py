"""Limits and queues in any sequence of requests, pods and changed limits, compared with the rules themselves."""

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podrelay.operator.cache.slots import Limits
from tests.unit.operator.builders import NOW
from tests.unit.operator.cache.test_slots import Book

RUNS = [f"run{number}" for number in range(12)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["want", "want", "want", "leave", "leave", "occupy", "unknown", "limits", "gone"]),
        st.integers(0, len(RUNS) - 1),
        st.integers(0, 3),
    ),
    max_size=80,
)
LIMITS = st.builds(Limits, st.none() | st.integers(1, 3), st.none() | st.integers(1, 2))


class Model:
    """The invariants, computed only from the runs that have a slot and those that wait."""

    def __init__(self, total: int | None, limits: list[Limits]) -> None:
        self.book = Book({"a": limits[0], "b": limits[1]}, total)
        self.total = total
        self.limits: dict[str, Limits] = {"a": limits[0], "b": limits[1]}
        self.waiting: set[str] = set()
        self.unknown: set[str] = set()

    @staticmethod
    def about(run: str) -> tuple[str, str, Any]:
        number = RUNS.index(run)
        return "ab"[number % 2], f"value{number % 3}", NOW + timedelta(seconds=number * 7 % 5)

    def step(self, what: str, run: str, number: int) -> None:
        definition, value, created = self.about(run)
        before = set(self.holders())
        match what:
            case "want":
                self.book.slots.want(run, definition, value, created)
                self.waiting.add(run)
            case "leave":
                self.book.slots.leave(run)
                self.waiting.discard(run)
                self.unknown.discard(run)
            case "occupy":
                self.book.slots.occupy(run, definition, value)
                self.unknown.discard(run)
            case "unknown":
                if run not in before | self.waiting:
                    self.unknown.add(run)
                self.book.slots.occupy(run, definition, None)
            case "limits":
                self.limits[definition] = Limits(number or None, (number + 1) % 3 or None)
                self.book.slots.set_limits(definition, self.limits[definition])
            case "gone":
                self.limits.pop(definition, None)
                self.book.slots.set_limits(definition, None)
        self.waiting -= set(self.holders())
        self.check(set(self.holders()) - before - ({run} if what in {"occupy", "unknown"} else set()))

    def holders(self) -> list[str]:
        return self.book.granted(*RUNS)

    def has_room(self, run: str) -> bool:
        definition, value, _ = self.about(run)
        limits = self.limits.get(definition)
        if limits is None:
            return False
        if limits.per_value is not None and self.has_unknown(definition):
            return False
        abouts = [self.about(holder)[:2] for holder in self.holders()]
        of_definition = sum(1 for other, _ in abouts if other == definition)
        return (
            (self.total is None or len(abouts) < self.total)
            and (limits.runs is None or of_definition < limits.runs)
            and (limits.per_value is None or abouts.count((definition, value)) < limits.per_value)
        )

    def has_unknown(self, definition: str) -> bool:
        """Whether a run with a slot may have any value."""
        return any(self.about(run)[0] == definition for run in self.unknown)

    def age(self, run: str) -> tuple[Any, str]:
        return self.about(run)[2], run

    def check(self, new: set[str]) -> None:
        # No run waits that could start, so no run is forgotten, and runs wait for the operator's limit by age.
        assert not [run for run in self.waiting if self.has_room(run)]
        for run in new:
            definition, value, _ = self.about(run)
            # An older run with the same definition and value waits for the same limits, so it would have come first.
            same = [other for other in self.waiting if self.about(other)[:2] == (definition, value)]
            assert all(self.age(other) > self.age(run) for other in same)
            self._check_limits(definition, value)
        for definition in "ab":
            waiting = sorted((run for run in self.waiting if self.about(run)[0] == definition), key=self.age)
            assert [self.book.place(run) for run in waiting] == list(range(1, len(waiting) + 1))
            assert self.book.slots.queued(definition) == len(waiting)
        counted = Counter(self.about(run)[0] for run in self.holders())
        assert [self.book.slots.active(definition) for definition in "ab"] == [counted["a"], counted["b"]]

    def _check_limits(self, definition: str, value: str) -> None:
        """After a grant, no limit that applies to it is exceeded."""
        abouts = [self.about(holder)[:2] for holder in self.holders()]
        limits = self.limits[definition]
        assert self.total is None or len(abouts) <= self.total
        assert limits.runs is None or sum(1 for other, _ in abouts if other == definition) <= limits.runs
        assert limits.per_value is None or abouts.count((definition, value)) <= limits.per_value
        assert limits.per_value is None or not self.has_unknown(definition)


@settings(max_examples=300, deadline=None)
@given(st.none() | st.integers(1, 5), st.lists(LIMITS, min_size=2, max_size=2), STEPS)
def test_limits_hold_the_oldest_goes_first_and_no_run_waits_without_need(
    total: int | None, limits: list[Limits], steps: list[tuple[str, int, int]]
) -> None:
    model = Model(total, limits)

    for what, run, number in steps:
        model.step(what, RUNS[run], number)
