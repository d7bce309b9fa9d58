"""The cursor of a line."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podrelay.gateway.errors import ValidationError
from podrelay.gateway.query.log_cursor import MAX_LENGTH, Positions, Printed
from tests.unit.gateway.builders import NOW


def test_a_cursor_has_the_positions_in_both_sources() -> None:
    positions = Positions("uid-1")
    positions.has_logged("words-i1", 7)
    for at in (NOW, NOW, NOW + timedelta(seconds=1), NOW + timedelta(seconds=1)):
        positions.has_printed("words-i1", at)
    found = Positions.read(positions.cursor, "uid-1")

    assert found.logged("words-i1") == 7
    assert found.printed("words-i1") == Printed(NOW + timedelta(seconds=1), 2)
    assert found.logged("words-i2") == 0
    assert found.printed("words-i2") == Printed()


@given(st.lists(st.integers(1, 300), min_size=1, unique=True).map(sorted))
def test_of_many_pods_the_newest_are_known_and_all_before_them_are_complete(iterations: list[int]) -> None:
    positions = Positions("uid-1")
    name = "w" * 50
    for iteration in iterations:
        positions.has_logged(f"{name}-i{iteration}", 3)
        positions.has_printed(f"{name}-i{iteration}", NOW)
    found = Positions.read(positions.cursor, "uid-1")

    assert len(positions.cursor) < MAX_LENGTH
    for iteration in iterations[-4:]:
        assert found.logged(f"{name}-i{iteration}") == 3
    for iteration in iterations[:-4]:
        assert found.logged(f"{name}-i{iteration}") is None
        assert found.printed(f"{name}-i{iteration}") is None
    assert found.logged(f"{name}-i{iterations[-1] + 1}") == 0
    assert found.logged(f"{name}-done") == 0  # pods of hooks come last


def test_a_copy_is_independent() -> None:
    positions = Positions("uid-1")
    positions.has_logged("words-i1", 1)
    positions.copy().has_logged("words-i1", 5)

    assert positions.logged("words-i1") == 1


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "=",
        "W10",
        "W1tdLCAxXQ",
        "x" * 5000,
        "\ud800",
        "WyJ1aWQtMSIsW3t9LHsid29yZHMtaTEiOlsiMjAyNi0xMS0yNFQxMjowMDowMCIsMSwwXX1dXQ",
    ],
)
def test_what_is_not_a_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValidationError, match="not a cursor of a log"):
        Positions.read(cursor, "uid-1")


def test_a_cursor_of_another_run_is_refused() -> None:
    with pytest.raises(ValidationError, match="another task"):
        Positions.read(Positions("uid-2").cursor, "uid-1")
