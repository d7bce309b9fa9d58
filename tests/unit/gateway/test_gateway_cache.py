"""The cache as a reflector fills it: indexes, listeners, relists."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.cache import Change, Collection
from podrelay.gateway.objects import Key, Run
from tests.unit.gateway.builders import run


def collection() -> Collection[Run]:
    return Collection(definition=lambda one: one.spec.definition, parent=lambda one: one.spec.parent)


NAMES = st.sampled_from(["a", "b", "c"])
states = st.builds(
    lambda name, namespace, kind, parent, version: run(
        name, kind, spec={"parent": parent}, about={"namespace": namespace, "version": str(version)}
    ),
    NAMES,
    st.sampled_from(["shop", "bank"]),
    st.sampled_from(["x", "y"]),
    st.none() | NAMES,
    st.integers(1, 1000),
)
steps = st.lists(
    st.tuples(st.just("apply"), states)
    | st.tuples(st.just("remove"), states)
    | st.tuples(st.just("replace"), st.lists(states, max_size=4, unique_by=lambda one: one.key)),
    max_size=20,
)


@given(steps)
def test_whatever_comes_indexes_and_listeners_agree_with_the_objects(history: list[tuple[str, Any]]) -> None:
    cache = collection()
    told: dict[Key, Run] = {}
    model: dict[Key, Run] = {}

    def hear(change: Change[Run]) -> None:
        assert told.get(change.obj.key) == change.before
        if change.gone:
            del told[change.obj.key]
        else:
            told[change.obj.key] = change.obj

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

    assert {one.key: one for one in cache.all(None)} == told == model
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


def test_who_listens_no_more_is_told_nothing() -> None:
    cache = collection()
    heard: list[Change[Run]] = []
    stop = cache.listen(heard.append)
    cache.apply(run("a"))
    stop()
    cache.apply(run("b"))

    assert [change.obj.metadata.name for change in heard] == ["a"]


def test_the_smallest_index_is_walked_through() -> None:
    cache = collection()
    for number in range(5):
        cache.apply(run(f"r{number}", "x", spec={"parent": "p" if number == 0 else None}))

    assert len([*cache.select("shop", {"definition": ["x"], "parent": ["p"]})]) == 1
    assert len([*cache.select("shop", {"definition": ["y"]})]) == 0
    assert len([*cache.select(None, {"definition": ["y"]})]) == 5
