"""Limits and queues by themselves: never more than the limit, the oldest first, no run forgotten."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from podrelay.operator.cache.slots import Limits, Slots
from podrelay.operator.view import Slot
from tests.unit.operator.builders import NOW

IMPORT = "import"


class Book:
    """Slots, and their notifications."""

    def __init__(self, limits: dict[str, Limits], total: int | None = None) -> None:
        self.marked: list[str] = []
        self.counted: list[str] = []
        self.slots: Slots[str, str] = Slots(self.marked.append, self.counted.append, total)
        for definition, own in limits.items():
            self.slots.set_limits(definition, own)
        self.slots.open()

    def want(self, *runs: str, definition: str = IMPORT, value: str | None = None, age: int = 0) -> None:
        """Request slots; the runs are listed by age, the oldest first."""
        for number, run in enumerate(runs):
            self.slots.want(run, definition, value, NOW + timedelta(seconds=number - age))

    def granted(self, *runs: str) -> list[str]:
        return [run for run in runs if self.slots.has_slot(run)]

    def place(self, run: str) -> int:
        slot = self.slots.slot(run)
        assert slot is not None
        assert not slot.is_granted
        return slot.place


def test_the_limit_determines_how_many_runs_have_a_slot_and_the_others_queue_by_age() -> None:
    book = Book({IMPORT: Limits(runs=2)})

    book.want("a", "b", "c", "d")

    assert book.granted("a", "b", "c", "d") == ["a", "b"]
    assert book.slots.slot("d") == Slot(is_granted=False, place=2, scope="definition", held=2, limit=2)


def test_a_returned_slot_goes_to_the_oldest_run_regardless_of_the_order_of_requests() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("first")
    book.want("young", age=0)
    book.want("old", age=50)
    book.marked.clear()

    book.slots.leave("first")

    assert book.granted("young", "old") == ["old"]
    assert book.marked[0] == "old"


def test_runs_of_the_same_second_are_ordered_by_name() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    for run in ("first", "b", "a"):
        book.want(run)

    book.slots.leave("first")

    assert book.granted("a", "b") == ["a"]


def test_a_repeated_request_changes_nothing() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("a", "b")
    book.marked.clear()
    book.counted.clear()

    book.want("a", "b")

    assert (book.marked, book.counted) == ([], [])
    assert book.place("b") == 1


def test_a_value_at_its_limit_does_not_delay_other_values() -> None:
    book = Book({IMPORT: Limits(per_value=1)})
    book.want("a1", "a2", value="a")

    book.want("b1", value="b", age=-100)

    assert book.granted("a1", "a2", "b1") == ["a1", "b1"]
    waiting = book.slots.slot("a2")
    assert waiting is not None
    assert (waiting.scope, waiting.held, waiting.limit) == ("value", 1, 1)


def test_both_limits_of_a_definition_apply() -> None:
    book = Book({IMPORT: Limits(runs=2, per_value=1)})

    book.want("a1", value="a", age=9)
    book.want("a2", value="a", age=8)
    book.want("b1", value="b", age=7)
    book.want("c1", value="c", age=6)

    assert book.granted("a1", "a2", "b1", "c1") == ["a1", "b1"]
    book.slots.leave("b1")
    assert book.granted("a2", "c1") == ["c1"]
    book.slots.leave("a1")
    assert book.granted("a2") == ["a2"]


def test_the_limit_of_all_goes_by_age_across_definitions_that_have_room() -> None:
    book = Book({"import": Limits(runs=1), "export": Limits()}, total=2)
    book.want("i1", definition="import", age=9)
    book.want("i2", definition="import", age=8)
    book.want("e1", definition="export", age=7)
    book.want("e2", definition="export", age=6)
    assert book.granted("i1", "i2", "e1", "e2") == ["i1", "e1"]

    book.slots.leave("e1")
    assert book.granted("i2", "e2") == ["e2"]
    book.slots.leave("i1")
    assert book.granted("i2") == ["i2"]


def test_a_pod_that_is_seen_counts_whether_or_not_a_slot_was_granted() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("a", "b")

    book.slots.occupy("b", IMPORT, None)

    assert book.granted("a", "b") == ["a", "b"]
    book.want("c")
    book.slots.leave("a")
    assert book.granted("c") == []
    book.slots.leave("b")
    assert book.granted("c") == ["c"]


def test_an_unknown_value_could_be_any_value() -> None:
    book = Book({IMPORT: Limits(per_value=1)})
    book.slots.occupy("a", IMPORT, None)
    book.want("x1", "x2", value="x")
    book.want("y1", value="y")
    assert book.granted("x1", "x2", "y1") == []

    book.slots.occupy("a", IMPORT, "x")
    assert book.granted("x1", "x2", "y1") == ["y1"]
    book.slots.occupy("a", IMPORT, None)  # a status without the value
    book.slots.leave("a")
    assert book.granted("x1", "x2") == ["x1"]


def test_without_a_limit_of_values_no_run_waits_for_an_unknown_value() -> None:
    book = Book({IMPORT: Limits(runs=2)})
    book.slots.occupy("a", IMPORT, None)

    book.want("b", "c")

    assert book.granted("b", "c") == ["b"]


def test_a_run_with_an_unknown_value_waits_until_it_requests_a_slot_with_the_value() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("a", "b")
    book.slots.set_limits(IMPORT, Limits(per_value=1))
    assert book.granted("b") == []

    book.slots.occupy("a", IMPORT, "x")
    book.want("b", value="y", age=-1)

    assert book.granted("b") == ["b"]


def test_no_slot_is_granted_before_open() -> None:
    granted: list[str] = []
    slots: Slots[str, str] = Slots(granted.append, lambda _definition: None)
    slots.set_limits(IMPORT, Limits(runs=2))
    slots.want("young", IMPORT, None, NOW)
    slots.want("middle", IMPORT, None, NOW - timedelta(seconds=1))
    slots.occupy("running", IMPORT, None)
    assert slots.slot("young") == Slot(is_granted=False, place=2)

    slots.want("old", IMPORT, None, NOW - timedelta(seconds=2))
    slots.open()

    assert [run for run in ("old", "middle", "young") if slots.has_slot(run)] == ["old"]


def test_a_higher_limit_grants_more_slots_and_a_lower_one_revokes_none() -> None:
    book = Book({IMPORT: Limits(runs=2)})
    book.want("a", "b", "c", "d")

    book.slots.set_limits(IMPORT, Limits(runs=3))
    assert book.granted("c", "d") == ["c"]
    book.slots.set_limits(IMPORT, Limits(runs=1))
    book.slots.leave("a")
    book.slots.leave("b")
    assert book.granted("c", "d") == ["c"]
    book.slots.leave("c")
    assert book.granted("d") == ["d"]


def test_a_changed_limit_of_values_is_applied_again() -> None:
    book = Book({IMPORT: Limits(per_value=1)})
    book.want("a", "b", "c", value="x")

    book.slots.set_limits(IMPORT, Limits(per_value=2))

    assert book.granted("a", "b", "c") == ["a", "b"]


def test_without_its_definition_no_run_gets_a_slot() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("a", "b")

    book.slots.set_limits(IMPORT, None)
    book.slots.leave("a")

    assert book.granted("b") == []
    book.slots.set_limits(IMPORT, Limits())
    assert book.granted("b") == ["b"]


def test_only_runs_whose_place_may_have_halved_are_marked() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    runs = [f"r{number:04}" for number in range(1001)]
    book.want(*runs)
    book.marked.clear()

    book.slots.leave(runs[0])

    assert book.marked == [runs[1], *(runs[1 + 2**power] for power in range(10))]


def test_the_numbers_of_a_definition_are_reported() -> None:
    book = Book({IMPORT: Limits(runs=1)})
    book.want("a", "b", "c")
    assert (book.slots.active(IMPORT), book.slots.queued(IMPORT)) == (1, 2)
    book.counted.clear()

    book.slots.leave("c")

    assert book.counted == [IMPORT]
    assert (book.slots.active(IMPORT), book.slots.queued(IMPORT)) == (1, 1)
    assert (book.slots.active("other"), book.slots.queued("other")) == (0, 0)


def test_runs_that_left_leave_nothing_in_memory() -> None:
    book = Book({IMPORT: Limits(runs=1, per_value=1)})
    for value in "abc":
        book.want(f"1{value}", f"2{value}", value=value)

    for number in "12":
        for value in "abc":
            book.slots.leave(f"{number}{value}")
            book.slots.leave(f"{number}{value}")

    inside = {name: value for name, value in vars(book.slots).items() if isinstance(value, dict)}
    assert {name for name, value in inside.items() if value} == {"_limits"}


@pytest.mark.parametrize(
    ("limits", "value_of"),
    [
        (Limits(runs=1), lambda _number: None),
        (Limits(runs=1, per_value=1), lambda number: f"customer {number}"),
    ],
    ids=["without values", "each with a value of its own"],
)
def test_a_grant_is_as_cheap_among_ten_thousand_runs_as_among_ten(
    limits: Limits, value_of: Callable[[int], str | None]
) -> None:
    touched = 0

    class Run(str):
        __slots__ = ()

        def __lt__(self, other: str) -> bool:
            nonlocal touched
            touched += 1
            return str.__lt__(self, other)

        __hash__ = str.__hash__

    slots: Slots[str, str] = Slots(lambda _run: None, lambda _definition: None)
    slots.set_limits(IMPORT, limits)
    slots.open()
    runs = [Run(f"{number:05}") for number in range(10_000)]
    for number, run in enumerate(runs):
        slots.want(run, IMPORT, value_of(number), NOW)
    touched = 0

    slots.leave(runs[0])

    assert slots.has_slot(runs[1])
    assert touched < 300
