"""Values that are kept for a limited time, in a limited number."""

import pytest

from podrelay.gateway.kept import Kept


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(clock: Clock) -> Kept[str]:
    return Kept(10.0, 3, clock)


def test_a_value_is_there_until_its_time_is_over(kept: Kept[str], clock: Clock) -> None:
    kept.put("a", "first")
    clock.time = 9.9
    assert kept.get("a") == "first"
    assert kept.get("a", 9.8) is None
    assert kept.get("other") is None

    clock.time = 10.0
    assert kept.get("a") is None


def test_a_value_that_is_put_again_is_kept_from_then_on(kept: Kept[str], clock: Clock) -> None:
    kept.put("a", "first")
    kept.put("b", "other")
    clock.time = 8.0
    kept.put("a", "second")
    clock.time = 12.0

    assert (kept.get("a"), kept.get("b")) == ("second", None)


def test_a_new_value_removes_those_whose_time_is_over(kept: Kept[str], clock: Clock) -> None:
    kept.put("a", "first")
    clock.time = 5.0
    kept.put("b", "second")
    clock.time = 11.0
    kept.put("c", "third")

    assert len(kept) == 2


def test_of_too_many_the_oldest_are_forgotten(kept: Kept[str]) -> None:
    for key in "abacd":
        kept.put(key, key)

    assert [kept.get(key) for key in "abcd"] == ["a", None, "c", "d"]


def test_a_value_can_be_dropped(kept: Kept[str]) -> None:
    kept.put("a", "first")
    kept.drop("a")
    kept.drop("never there")

    assert kept.get("a") is None
