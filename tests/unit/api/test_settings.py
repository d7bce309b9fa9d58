"""A value in a ConfigMap causes runs to be deleted, so an ambiguous value is rejected."""

import pytest

from podrelay.api.settings import RetentionError, parse_retention_days


@pytest.mark.parametrize(("text", "days"), [("0", 0), ("1", 1), ("90", 90), ("3650", 3650), ("30\n", 30), (" 7 ", 7)])
def test_whole_numbers_are_read(text: str, days: int) -> None:
    assert parse_retention_days(text) == days


@pytest.mark.parametrize(
    "text",
    # Arabic digits, a superscript and underscores are numbers to Python.
    [
        "",
        "-1",
        "+7",
        "3651",
        "99999",
        "9" * 100_000,
        "7.5",
        "1e1",
        "0x10",
        "007",
        "9O",
        "٣",
        "²",
        "1_0",
        "7 days",
        "null",
    ],
    ids=lambda text: text[:8],
)
def test_other_texts_are_rejected(text: str) -> None:
    with pytest.raises(RetentionError) as caught:
        parse_retention_days(text)

    assert "whole number from 0 to 3650" in str(caught.value)
    assert len(str(caught.value)) < 200
