"""Names of runs."""

import pytest

from podrelay.api import run_names


@pytest.mark.parametrize("definition", ["a", "a" * 34 + "-b", "x" * 63])
def test_names_have_a_valid_length_and_are_labels(definition: str) -> None:
    for made in (run_names.name_for(definition, 1), run_names.random_name(definition)):
        assert len(made) <= 50
        assert "--" not in made
