"""The cache, as filled by a reflector: indexes, listeners, relists."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Run
from podrelay.kube.resources import Key
from tests.unit.gateway.builders import run


def collection() -> Collection[Run]:
    return Collection(definition=lambda one: one.spec.definition, parent=lambda one: one.spec.parent)


NAMES = st.sampled_from(["a", "b", "c"])
states = st.builds(
    lambda name, namespace, kind, parent, version, age: run(
        name, kind, spec={"parent": parent}, about={"namespace": namespace, "version": str(version), "age": age}
    ),
    NAMES,
    st.sampled_from(["shop", "bank"]),
    st.sampled_from(["x", "y"]),
    st.none() | NAMES,
    st.integers(1, 1000),
    st.integers(0, 2),
)
steps = st.lists(
    st.tuples(st.just("apply"), states)
    | st.tuples(st.just("remove"), states)
    | st.tuples(st.just("replace"), st.lists(states, max_size=4, unique_by=lambda one: one.key)),
    max_size=20,
)


def in_order(cache: Collection[Run], namespace: str | None, wanted: dict[str, list[str]]) -> list[Run]:
    """Return all candidates, newest first, read two at a time."""
    candidates, found, after = cache.candidates(namespace, wanted), [], None
    while part := candidates.part(after, 2, newest_first=True):
        found += [one for _, one in part]
        after = part[-1][0]
    assert len(found) == len(candidates)
    return found


@given(steps)
def test_indexes_and_listeners_always_agree_with_the_objects(history: list[tuple[str, Any]]) -> None:
    cache = collection()
    heard: dict[Key, Run] = {}
    model: dict[Key, Run] = {}

    def hear(change: Change[Run]) -> None:
        assert heard.get(change.obj.key) == change.before
        if change.gone:
            del heard[change.obj.key]
        else:
            heard[change.obj.key] = change.obj

    cache.listen(hear)
    for verb, what in history:
        match verb:
            case "apply":
                model[what.key] = what
                cache.apply(what)
            case "remove":
                model.pop(what.key, None)
                cache.remove(what)
            case _:
                model = {one.key: one for one in what}
                cache.replace(what, "1")

    assert {one.key: one for one in cache.all(None)} == heard == model
    assert in_order(cache, None, {}) == [*reversed(cache.all(None))]
    ages = [cache.age(one.key) for one in cache.all(None)]
    assert ages == sorted(ages, key=lambda age: age or ())
    assert all(age and age[0] == model[age[2]].metadata.creation_timestamp.timestamp() for age in ages)
    assert {one.key for one in in_order(cache, "shop", {"definition": ["x", "y", "x"]})} == {
        one.key for one in model.values() if one.key.namespace == "shop"
    }
    for namespace in ("shop", "bank"):
        here = [one for one in model.values() if one.key.namespace == namespace]
        assert sorted(one.key for one in cache.all(namespace)) == sorted(one.key for one in here)
        for kind in ("x", "y"):
            expected = {one.key for one in here if one.spec.definition == kind}
            assert {one.key for one in cache.indexed("definition", namespace, kind)} == expected
        for parent in ("a", "b", "c"):
            expected = {one.key for one in here if one.spec.parent == parent}
            assert {one.key for one in cache.indexed("parent", namespace, parent)} == expected


def test_a_relist_of_one_namespace_leaves_the_others_alone() -> None:
    cache = collection()
    cache.apply(run("a", about={"namespace": "bank"}))
    cache.apply(run("b"))

    cache.replace([], "9", "shop")

    assert [one.key for one in cache.all(None)] == [Key("bank", "a")]


def test_a_stopped_listener_gets_no_further_changes() -> None:
    cache = collection()
    heard: list[Change[Run]] = []
    stop = cache.listen(heard.append)
    cache.apply(run("a"))
    stop()
    cache.apply(run("b"))

    assert [change.obj.metadata.name for change in heard] == ["a"]


def test_the_smallest_index_is_searched() -> None:
    cache = collection()
    for number in range(5):
        cache.apply(run(f"r{number}", "x", spec={"parent": "p" if number == 0 else None}))

    smallest = cache.candidates("shop", {"definition": ["x"], "parent": ["p"]})
    assert (smallest.index, len(smallest)) == ("parent", 1)
    assert len(cache.candidates("shop", {"definition": ["y"]})) == 0
    assert len(cache.candidates("shop", {"definition": ["y"] * 20})) == 0
    assert len(cache.candidates("shop", {"definition": [f"d{number}" for number in range(20)]})) == 5
    assert len(cache.candidates(None, {"definition": ["y"]})) == 5
    assert len(cache.candidates("bank", {})) == 0
