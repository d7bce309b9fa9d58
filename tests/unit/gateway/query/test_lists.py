"""Filters, sorters and pages, compared with a simple model."""

import asyncio
import functools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.api import names
from podrelay.gateway.cache import Age, Collection
from podrelay.gateway.errors import ValidationError
from podrelay.gateway.objects import Definition, Run
from podrelay.gateway.query import filters
from podrelay.gateway.query.fields import TASK_SORTERS, Kind, task_fields
from podrelay.gateway.query.filters import OPERATORS, Condition
from podrelay.gateway.query.sorting import Order, Page, Pager, sorter_names
from podrelay.kube.resources import Key
from tests.unit.gateway.builders import NOW, definition, run

DEFINITIONS: Collection[Definition] = Collection()
DEFINITIONS.apply(definition())
FIELDS = task_fields(DEFINITIONS)
WORDS = st.sampled_from(["a", "b", "ab", "Ab", "count-words", "Count words", "words-i1"])
PHASES = {"Pending": "pending", "Running": "running", "Succeeded": "success", "Failed": "failed", "Aborted": "aborted"}

moments = st.integers(0, 5).map(lambda hours: NOW - timedelta(hours=hours))
runs = st.builds(
    lambda name, kind, spec, about, status: run(name, kind, spec=spec, about=about, **status),
    st.from_regex(r"[ab]{1,3}", fullmatch=True),
    st.sampled_from(["count-words", "import-products", "ab"]),
    st.fixed_dictionaries({}, optional={"display_name": WORDS, "parent": st.sampled_from(["a", "b"])}),
    st.fixed_dictionaries(
        {"age": st.integers(0, 5).map(lambda hours: hours * 3600), "version": st.integers(1, 9).map(str)},
        optional={"by": st.sampled_from(["a", "ab"])},
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "phase": st.sampled_from(sorted(PHASES)),
            "iterations": st.integers(0, 3),
            "started_at": moments,
            "pod": WORDS,
        },
    ),
)
crowds = st.lists(runs, max_size=12, unique_by=lambda one: one.key)


def shown(one: Run, field: str) -> Any:
    """Return the value of a field of a task, implemented a second time."""
    match field:
        case "id":
            return one.metadata.name
        case "version":
            return int(one.metadata.resource_version)
        case "createdOn":
            return one.metadata.creation_timestamp
        case "createdBy":
            return one.metadata.annotations.created_by
        case "name":
            titles = {"count-words": "Count words"}
            return one.spec.display_name or titles.get(one.spec.definition, one.spec.definition)
        case "definitionId":
            return names.definition_id(one.spec.definition)
        case "parentId":
            return one.spec.parent
        case "executionName":
            return one.status.current.pod_name if one.status.current else ""
        case "taskStatus":
            return PHASES[one.status.phase or "Pending"]
        case "iterations":
            return one.status.iterations or 0
        case "startedOn":
            return one.status.started_at
        case _:
            raise AssertionError(field)


FILTERED = (
    *("id", "createdOn", "createdBy", "name", "definitionId", "parentId"),
    *("executionName", "taskStatus", "iterations", "startedOn"),
)


def values_of(kind: Kind) -> st.SearchStrategy[Any]:
    if kind is Kind.NUMBER:
        return st.integers(0, 3) | st.floats(0, 3)
    if kind in {Kind.DATE, Kind.META_DATE}:
        return moments
    return WORDS | st.sampled_from(sorted(PHASES.values()))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    field = draw(st.sampled_from(FILTERED))
    kind = FIELDS[field].kind
    operator = draw(st.sampled_from(OPERATORS[kind]))
    values = values_of(kind)
    if operator.endswith("between"):
        return Condition(field, operator, draw(st.tuples(values, values)))
    if operator.endswith("in"):
        return Condition(field, operator, draw(st.lists(values, max_size=3)))
    return Condition(field, operator, draw(values))


def seen(crowd: list[Run]) -> Callable[[Key], Age | None]:
    """Return the function that gives the positions of these runs in the order of creation."""
    collection: Collection[Run] = Collection()
    for one in crowd:
        collection.apply(one)
    return collection.age


def unseen(_: Key) -> None:
    """Stand for an empty cache."""


def page(crowd: list[Run], order: Order[Run], limit: int, after: str | None) -> Page[Run]:
    """Return the page, searched two tasks at a time."""
    pager = Pager(lambda _: True, order, limit, after)
    for start in range(0, len(crowd), 2):
        pager.add(crowd[start : start + 2])
    return pager.page()


def holds(one: Run, condition: Condition) -> bool:
    """Return whether a condition holds, implemented a second time in the simplest way."""
    value, wanted, operator = shown(one, condition.field), condition.value, condition.operator
    if condition.field == "definitionId" and operator in {"", "not", "in", "not_in"}:
        spell = names.definition_id
        wanted = spell(wanted) if isinstance(wanted, str) else [spell(item) for item in wanted]
    if operator.startswith("not"):
        return not holds(one, Condition(condition.field, operator[3:].removeprefix("_"), condition.value))
    if operator == "":
        return bool(value == wanted)
    if operator == "in":
        return any(value == item for item in wanted)
    if value is None:
        return False
    match operator:
        case "gt":
            return bool(value > wanted)
        case "gte":
            return bool(value > wanted or value == wanted)
        case "lt":
            return bool(value < wanted)
        case "lte":
            return bool(value < wanted or value == wanted)
        case "between":
            return bool(not value < wanted[0] and not value > wanted[1])
        case "contains":
            return wanted.lower() in value.lower()
        case "startsWith":
            return bool(value.lower()[: len(wanted)] == wanted.lower())
        case _:
            raise AssertionError(operator)


@given(crowds, st.lists(conditions(), max_size=3))
def test_a_filter_finds_what_the_model_finds(crowd: list[Run], where: list[Condition]) -> None:
    matches = filters.predicate(FIELDS, where, None)

    assert [one for one in crowd if matches(one)] == [one for one in crowd if all(holds(one, each) for each in where)]


SORTABLE = tuple(field for field in (*TASK_SORTERS, "id", "createdOn") if field != "finishedOn")


def compare(sorters: list[str], one: Run, other: Run) -> int:
    """Compare by one sorter after the other; missing values come last in both directions.

    In the order of creation, of two objects of the same second the one with the later version was created later.
    """
    created = [sorter.rsplit("_", 1)[1] for sorter in sorters if sorter.startswith("createdOn")]
    ties = [f"version_{created[-1]}", f"id_{created[-1]}"] if created else ["id_ASC"]
    for sorter in [*sorters, *ties]:
        field, direction = sorter.removeprefix("values_").rsplit("_", 1)
        left, right = shown(one, field), shown(other, field)
        if left == right:
            continue
        if left is None or right is None:
            return 1 if left is None else -1
        if isinstance(left, str):
            left, right = (left.casefold(), left), (right.casefold(), right)
        smaller = -1 if left < right else 1
        return smaller if direction == "ASC" else -smaller
    return 0


@given(
    crowds,
    st.lists(
        st.tuples(st.sampled_from(["", "values_"]), st.sampled_from(SORTABLE), st.sampled_from(["ASC", "DESC"])),
        max_size=3,
    ),
    st.integers(1, 4),
)
def test_pages_put_together_are_the_whole_list_in_order(
    crowd: list[Run], sort: list[tuple[str, str, str]], limit: int
) -> None:
    sorters = [f"{prefix if field in TASK_SORTERS else ''}{field}_{way}" for prefix, field, way in sort]
    by_model: Callable[[Run, Run], int] = functools.partial(compare, sorters or ["createdOn_DESC"])
    expected = sorted(crowd, key=functools.cmp_to_key(by_model))
    order = Order(FIELDS, sorters, seen(crowd))

    found: list[Run] = []
    after = None
    while True:
        part = page(crowd, order, limit, after)
        assert asyncio.run(part.total()) == len(crowd)
        assert len(part.items) <= limit
        found += part.items
        after = part.cursor
        if after is None:
            break

    assert found == expected


@given(crowds.filter(lambda crowd: len(crowd) > 2))
def test_a_page_continues_at_its_place_even_if_its_last_task_was_deleted(crowd: list[Run]) -> None:
    order = Order(FIELDS, ["name_DESC"], seen(crowd))
    everything = page(crowd, order, len(crowd), None).items
    first = page(crowd, order, 1, None)
    left = [one for one in crowd if one is not first.items[0]]

    assert page(left, order, len(crowd), first.cursor).items == everything[1:]


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.hex()))
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="cursor"):
        Order(FIELDS, [], unseen).key_of(text)


def test_a_cursor_of_another_order_is_refused() -> None:
    cursor = Order(FIELDS, ["name_ASC"], unseen).cursor(run())

    with pytest.raises(ValidationError, match="another sort"):
        Order(FIELDS, ["name_DESC"], unseen).key_of(cursor)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_has_a_value_of_its_kind(field: str) -> None:
    value = FIELDS[field].read(run(phase="Running", started_at=NOW, finished_at=NOW, iterations=1, pod="words-i1"))

    match FIELDS[field].kind:
        case Kind.NUMBER:
            assert isinstance(value, int)
        case Kind.DATE | Kind.META_DATE:
            assert value is None or isinstance(value, datetime)
        case _:
            assert value is None or isinstance(value, str)


def test_every_sorter_can_be_used() -> None:
    for sorter in sorter_names(FIELDS, TASK_SORTERS):
        assert Order(FIELDS, [sorter], unseen).key(run())


@pytest.mark.parametrize("value", [[], [1], [1, 2, 3], [None, 1]])
def test_between_needs_two_values(value: Any) -> None:
    with pytest.raises(ValidationError, match="iterations_between"):
        filters.predicate(FIELDS, [Condition("iterations", "between", value)], None)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Condition("parentId", "", None), True),
        (Condition("parentId", "not", None), False),
        (Condition("name", "", None), False),
        (Condition("name", "contains", None), True),
        (Condition("iterations", "gte", None), True),
        (Condition("definitionId", "", "count-words"), True),
        (Condition("definitionId", "in", ["importProducts", "countWords"]), True),
        (Condition("taskStatus", "", "completed"), True),
        (Condition("taskStatus", "", "success"), True),
        (Condition("taskStatus", "in", ["stopped"]), False),
    ],
)
def test_null_and_other_spellings(condition: Condition, expected: bool) -> None:
    assert filters.predicate(FIELDS, [condition], None)(run(phase="Succeeded")) is expected


@pytest.mark.parametrize(
    ("search", "expected"),
    [("", True), ("COUNT", True), ("count words-i1", True), ("pending words", True), ("count nothing", False)],
)
def test_search_wants_every_word_somewhere(search: str, expected: bool) -> None:
    assert filters.predicate(FIELDS, [], search)(run(pod="words-i1")) is expected


@given(crowds, st.lists(conditions(), max_size=2))
def test_candidates_of_the_indexes_leave_nothing_out(crowd: list[Run], where: list[Condition]) -> None:
    collection: Collection[Run] = Collection(definition=lambda one: one.spec.definition, phase=lambda one: one.phase)
    for one in crowd:
        collection.apply(one)
    wanted = filters.wanted(FIELDS, where, "definitionId")
    indexes = {} if wanted is None else {"definition": [names.definition_name(value) for value in wanted]}
    matches = filters.predicate(FIELDS, where, None)

    candidates = collection.candidates("shop", indexes).part(None, 100, newest_first=True)
    found = {one.key for _, one in candidates if matches(one)}
    assert found == {one.key for one in crowd if matches(one)}
