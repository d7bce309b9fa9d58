"""The cells of tables."""

from datetime import timedelta

import pytest

from podrelay.devserver import tables


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (10 * 3600, "10h"),
        (50 * 3600, "2d2h"),
        (48 * 3600, "2d"),
        (400 * 86400, "400d"),
        (-5, "0s"),
    ],
)
def test_ages_are_written_as_kubectl_does(seconds: int, words: str) -> None:
    assert tables.age(timedelta(seconds=seconds)) == words


def test_a_column_may_select_a_condition() -> None:
    conditions = [{"type": "Stalled", "status": "False"}, {"type": "Ready", "status": "True"}]
    item = {"metadata": {"name": "x"}, "spec": {"title": "X", "maxIterations": 5}, "status": {"conditions": conditions}}

    cells = tables.table("taskdefinitions", [item], {})["rows"][0]["cells"]

    assert cells[:4] == ["x", "X", "True", None]
    assert cells[6] == 5
