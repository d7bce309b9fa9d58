"""The order of creation: it is total, the same on all pages and in all gateways, and the cheapest one."""

import random
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.call import Budget
from podrelay.gateway.objects import Run
from podrelay.gateway.ordered import Ordered
from podrelay.gateway.statistics import Tallies
from tests.unit.gateway.builders import NOW, run, statistics_of
from tests.unit.gateway.conftest import Gateway

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Aborted")
LIST = """query($where: WebinyBackgroundTaskListWhereInput, $sort: [WebinyBackgroundTaskListSorter!], $limit: Int,
    $after: String) { backgroundTasks { listTasks(where: $where, sort: $sort, limit: $limit, after: $after) {
    data { id } meta { cursor totalCount } error { code message } } } }"""


def crowd(count: int, seed: int = 1) -> list[Run]:
    """Return runs in the order of their creation, ten of them in each second."""
    chance = random.Random(seed)
    made = []
    for number in range(count):
        name = f"r{chance.randrange(10**9)}-{number}"
        about = {"age": (count - number) // 10, "version": str(number + 1)}
        made.append(run(name, chance.choice(["a", "b"]), about=about, phase=chance.choice(PHASES)))
    return made


async def pages(gateway: Gateway, limit: int, **variables: Any) -> tuple[list[str], int]:
    """Return the ids on all pages of a list, and its totalCount."""
    found: list[str] = []
    after = None
    while True:
        answer = await gateway.ask(LIST, limit=limit, after=after, **variables)
        page = answer["data"]["backgroundTasks"]["listTasks"]
        assert page["error"] is None
        found += [one["id"] for one in page["data"]]
        after = page["meta"]["cursor"]
        if after is None:
            return found, page["meta"]["totalCount"]


async def test_six_tasks_in_a_row_come_newest_first(gateway: Gateway) -> None:
    names = ["m", "z", "a", "k", "b", "y"]
    for number, name in enumerate(names):
        gateway.cache.runs.apply(run(name, about={"version": str(98 + number)}))
    # A later change does not affect the order.
    gateway.cache.runs.apply(run("a", about={"version": "500"}, phase="Running"))

    assert (await pages(gateway, 2))[0] == [*reversed(names)]
    assert (await pages(gateway, 4, sort=["createdOn_ASC"]))[0] == names
    assert (await pages(gateway, 1, where={"taskStatus": "pending"}))[0] == ["y", "b", "k", "z", "m"]


@pytest.mark.parametrize("sort", [None, ["createdOn_DESC"], ["createdOn_ASC"], ["revisionCreatedOn_DESC"]])
@pytest.mark.parametrize(
    ("where", "matches"),
    [
        (None, lambda _: True),
        ({"taskStatus": "failed"}, lambda one: one.phase == "Failed"),
        ({"taskStatus_in": ["failed", "running"]}, lambda one: one.phase in {"Failed", "Running"}),
        (
            {"definitionId": "a", "taskStatus_not": "failed"},
            lambda one: one.spec.definition == "a" and one.phase != "Failed",
        ),
        (
            {"createdOn_gte": "2026-11-24T11:59:50Z", "createdOn_lt": "2026-11-24T11:59:55Z"},
            lambda one: NOW - timedelta(seconds=10) <= one.metadata.creation_timestamp < NOW - timedelta(seconds=5),
        ),
        (
            {"createdOn_between": ["2026-11-24T11:59:50Z", "2026-11-24T11:59:55Z"], "taskStatus": "running"},
            lambda one: (
                NOW - timedelta(seconds=10) <= one.metadata.creation_timestamp <= NOW - timedelta(seconds=5)
                and one.phase == "Running"
            ),
        ),
        (
            {"createdOn": "2026-11-24T11:59:50Z"},
            lambda one: one.metadata.creation_timestamp == NOW - timedelta(seconds=10),
        ),
    ],
    ids=["all", "status", "statuses", "definition", "from-to", "between", "second"],
)
async def test_pages_in_the_order_of_creation_form_the_whole_list(
    gateway: Gateway, where: Any, matches: Any, sort: list[str] | None
) -> None:
    made = crowd(200)
    gateway.cache.runs.replace(sorted(made, key=lambda one: one.metadata.name), "1")
    expected = [one.metadata.name for one in made if matches(one)]
    if sort is None or sort[0].endswith("DESC"):
        expected.reverse()

    for limit in (1 if len(expected) < 20 else 7, 100):
        assert await pages(gateway, limit, where=where, sort=sort) == (expected, len(expected))


async def test_the_next_page_continues_at_its_place_while_tasks_change(gateway: Gateway) -> None:
    made = crowd(60)
    gateway.cache.runs.replace(made, "1")
    first = (await gateway.ask(LIST, limit=20))["data"]["backgroundTasks"]["listTasks"]
    gateway.cache.runs.remove(made[40])  # the last one on the page
    for name in ("new", "newer"):
        gateway.cache.runs.apply(run(name, about={"version": "1000"}))
    gateway.cache.runs.apply(run(made[39].metadata.name, "b", about={"age": 2, "version": "1001"}, phase="Failed"))

    rest = (await gateway.ask(LIST, limit=100, after=first["meta"]["cursor"]))["data"]["backgroundTasks"]["listTasks"]
    assert [one["id"] for one in first["data"]] == [one.metadata.name for one in reversed(made[40:])]
    assert [one["id"] for one in rest["data"]] == [one.metadata.name for one in reversed(made[:40])]


async def test_a_cursor_is_valid_at_another_gateway(gateway: Gateway, start: Any) -> None:
    """A gateway that was started later may have first seen some objects at a later version."""
    other: Gateway = await start()
    made = crowd(60)
    gateway.cache.runs.replace(made, "1")
    later = [
        run(one.metadata.name, one.spec.definition, about={"age": (60 - n) // 10, "version": str(n * 37 % 100 + 500)})
        for n, one in enumerate(made)
    ]
    other.cache.runs.replace(later, "1")
    order = [one.metadata.name for one in reversed(other.cache.runs.all(None))]

    for limit in range(1, 59):
        first = (await gateway.ask(LIST, limit=limit))["data"]["backgroundTasks"]["listTasks"]
        rest = await other.ask(LIST, limit=100, after=first["meta"]["cursor"])
        found = [one["id"] for one in rest["data"]["backgroundTasks"]["listTasks"]["data"]]
        assert found == order[order.index(first["data"][-1]["id"]) + 1 :]


def test_a_recreated_object_is_a_new_one() -> None:
    cache: Collection[Run] = Collection(phase=lambda one: one.phase)
    cache.apply(run("a", about={"age": 100, "version": "1"}))
    cache.apply(run("b", about={"age": 50, "version": "2"}))
    cache.apply(run("a", about={"age": 0, "version": "3"}, phase="Running"))

    assert [one.metadata.name for one in cache.all("shop")] == ["b", "a"]
    assert [one.metadata.name for one in cache.indexed("phase", "shop", "Pending")] == ["b"]


@given(st.lists(st.tuples(st.sampled_from(["add", "discard", "look"]), st.integers(0, 50)), max_size=200))
def test_values_stay_in_order(steps: list[tuple[str, int]]) -> None:
    ordered: Ordered[int] = Ordered()
    model: list[int] = []
    for verb, value in steps:
        if verb == "add":
            ordered.add(value)
            model.append(value)
        elif verb == "discard":
            ordered.discard(value)
            if value in model:
                model.remove(value)
        else:
            assert ordered.above(value, 3) == [one for one in sorted(model) if one > value][:3]
            assert ordered.below(value, 3) == [one for one in sorted(model, reverse=True) if one < value][:3]
        assert len(ordered) == len(model)
    assert ordered.values() == sorted(model)
    assert ordered.above(None, 2) == sorted(model)[:2]
    assert ordered.below(None, 2) == sorted(model, reverse=True)[:2]


# --- what it costs ----------------------------------------------------------------------------------------------------


async def looks(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, *, uncounted: bool = False, **variables: Any) -> int:
    """Return how many comparisons a page of 50 costs."""
    taken = 0
    real = Budget.take_looks

    def take(budget: Budget, count: int) -> None:
        nonlocal taken
        taken += count
        real(budget, count)

    monkeypatch.setattr(Budget, "take_looks", take)
    answer = await gateway.ask(LIST.replace("totalCount", "" if uncounted else "totalCount"), **variables)
    assert answer["data"]["backgroundTasks"]["listTasks"]["error"] is None
    monkeypatch.undo()
    return taken


async def test_a_default_page_costs_what_it_shows(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    made = crowd(20_000)
    gateway.cache.runs.replace(made, "1")
    cursor = (await gateway.ask(LIST, limit=100))["data"]["backgroundTasks"]["listTasks"]["meta"]["cursor"]

    assert await looks(gateway, monkeypatch) <= 51
    assert await looks(gateway, monkeypatch, after=cursor) <= 51
    assert await looks(gateway, monkeypatch, sort=["createdOn_ASC"]) <= 2 * 51
    assert await looks(gateway, monkeypatch, where={"taskStatus": "failed"}) <= 2 * 51
    assert await looks(gateway, monkeypatch, where={"taskStatus_in": ["failed", "running"]}) <= 2 * 51
    # Counted only if totalCount is queried.
    assert await looks(gateway, monkeypatch, where={"definitionId": "a"}, uncounted=True) <= 2 * 51
    of_a = sum(one.spec.definition == "a" for one in made)
    assert await looks(gateway, monkeypatch, where={"definitionId": "a"}) <= 2 * (of_a + 51)
    within = {"createdOn_gte": "2026-11-24T11:59:00Z"}
    assert await looks(gateway, monkeypatch, where=within) <= 2 * 2 * 700


async def test_statistics_are_read_from_counters(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.cache.runs.replace(crowd(20_000), "1")
    document = "{ backgroundTasks { statistics { data { total } error { code } } } }"
    before = time.thread_time()
    for _ in range(30):
        answer = await gateway.ask(document)
        assert answer["data"]["backgroundTasks"]["statistics"] == {"data": {"total": 20_000}, "error": None}
    assert time.thread_time() - before < 2

    many = " ".join(
        f's{n}: statistics(since: "2026-11-24T11:30:{n:02}Z") {{ data {{ total }} error {{ code }} }}'
        for n in range(28)
    )
    found = (await gateway.ask(f"{{ backgroundTasks {{ {many} }} }}"))["data"]["backgroundTasks"].values()
    assert "BackgroundTasks/LimitExceeded" in {one["error"]["code"] for one in found if one["error"]}


finished = st.builds(
    lambda name, namespace, kind, phase, age, seconds: run(
        name,
        kind,
        about={"namespace": namespace, "age": age * 1800, "version": str(age)},
        phase=phase,
        started_at=NOW - timedelta(hours=1) if seconds is not None else None,
        finished_at=NOW - timedelta(hours=1) + timedelta(seconds=seconds) if seconds is not None else None,
    ),
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(["shop", "bank"]),
    st.sampled_from(["x", "y"]),
    st.sampled_from(PHASES),
    st.integers(0, 5),
    st.none() | st.integers(0, 7200),
)


@given(st.lists(st.tuples(st.booleans(), finished), max_size=40))
def test_counters_equal_the_counts_of_all_runs(history: list[tuple[bool, Run]]) -> None:
    cache: Collection[Run] = Collection()
    tallies = Tallies(cache)
    for exists, one in history:
        (cache.apply if exists else cache.remove)(one)

    for namespace in (None, "shop", "bank"):
        assert tallies.of(namespace).statistics(NOW) == statistics_of(cache.all(namespace), NOW)
        for kind in ("x", "y", "z"):
            only = [one for one in cache.all(namespace) if one.spec.definition == kind]
            assert tallies.of(namespace).statistics(NOW, kind) == statistics_of(only, NOW)


def test_an_empty_tally_is_not_kept() -> None:
    cache: Collection[Run] = Collection()
    tallies = Tallies(cache)
    one = run("a", phase="Succeeded", started_at=NOW, finished_at=NOW)
    tallies._hear(Change(one, None))
    tallies._hear(Change(one, one, gone=True))

    assert not tallies._tallies
