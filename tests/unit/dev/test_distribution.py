"""Tests that share an operator run in one process; tests that only wait run in any."""

from pathlib import Path

import pytest

from tests.support import distribution
from tests.support.distribution import unit_of

FILES = Path(__file__).parents[2] / "integration"


@pytest.mark.parametrize("name", sorted({*distribution.LONGEST_FIRST, *distribution.SPREAD}))
def test_each_named_file_exists(name: str) -> None:
    assert (FILES / name).is_file()


def test_the_tests_of_a_file_run_in_one_process() -> None:
    assert unit_of("a/test_relay.py::test_one") == unit_of("a/test_relay.py::test_two[x-dev]") == "a/test_relay.py"


def test_a_file_with_two_places_may_use_a_process_for_each() -> None:
    first, second = "a/test_cli.py::test_lists[cluster-all]", "a/test_cli.py::test_lists[dev-all]"

    assert unit_of(first) == unit_of("a/test_cli.py::test_only_in_the_cluster") != unit_of(second)
    assert unit_of(second) == unit_of("a/test_cli.py::test_shows[dev]")


def test_each_test_of_a_file_that_is_spread_may_run_in_another_process() -> None:
    first, second = "a/test_outages.py::test_one[a]", "a/test_outages.py::test_one[b]"

    assert unit_of(first) != unit_of(second)
