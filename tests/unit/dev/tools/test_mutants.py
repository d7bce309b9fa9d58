"""The list of mutants matches the code, and the property tests alone detect a sample of them."""

import pytest

from dev.tools.mutants.list import CORE, OTHERS
from dev.tools.mutants.mutant import Mutant
from dev.tools.mutants.play import PACKAGE, play

SAMPLE = ("ContinueKeepsAttempts", "SlotFreeWithTheStatus", "HooksOfALaterDefinition")
"""A sample of different parts, because testing all mutants takes too long."""


@pytest.mark.parametrize("mutant", [*CORE, *OTHERS], ids=lambda mutant: mutant.name)
def test_the_text_that_a_mutant_changes_occurs_once_in_its_file(mutant: Mutant) -> None:
    assert (PACKAGE / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1


def test_there_are_enough_mutants_with_unique_names() -> None:
    names = [mutant.name for mutant in (*CORE, *OTHERS)]

    assert len(set(names)) == len(names)
    assert len(names) >= 60


@pytest.mark.parametrize("name", SAMPLE)
def test_the_property_tests_notice(name: str) -> None:
    mutant = next(mutant for mutant in CORE if mutant.name == name)

    outcome = play(mutant, histories=2000, seed=1, with_examples=False)

    assert outcome.by == "properties"
