"""The list of mutants fits the code, and a sample of it is noticed by the property tests alone."""

import pytest

from tools.mutants.list import CORE, OTHERS, Mutant
from tools.mutants.play import PACKAGE, play

SAMPLE = ("ContinueKeepsAttempts", "SlotFreeWithTheStatus", "HooksOfALaterDefinition")
"""Of different parts; all of them take minutes."""


@pytest.mark.parametrize("mutant", [*CORE, *OTHERS], ids=lambda mutant: mutant.name)
def test_what_a_mutant_changes_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (PACKAGE / mutant.file).read_text(encoding="utf-8").count(mutant.old) == 1


def test_names_are_unique_and_there_are_enough() -> None:
    names = [mutant.name for mutant in (*CORE, *OTHERS)]

    assert len(set(names)) == len(names)
    assert len(names) >= 60


@pytest.mark.parametrize("name", SAMPLE)
def test_the_property_tests_notice(name: str) -> None:
    mutant = next(mutant for mutant in CORE if mutant.name == name)

    outcome = play(mutant, histories=2000, seed=1, with_examples=False)

    assert outcome.by == "properties"
