"""The texts that the CRDs accept as a time: those that Python, Go and CEL read in the same way."""

import calendar
from datetime import datetime
from typing import Any

import msgspec
import pytest
from pydantic import TypeAdapter, ValidationError

from podrelay.api.common import OwnTimestamp, Timestamp

THEIRS: TypeAdapter[str] = TypeAdapter(Timestamp)
OURS: TypeAdapter[str] = TypeAdapter(OwnTimestamp)


def takes(adapter: TypeAdapter[Any], text: str) -> bool:
    try:
        adapter.validate_python(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("year", [1000, 1600, 1900, 1999, 2000, 2024, 2026, 2028, 2100, 2400, 2999])
def test_only_days_of_the_calendar_are_accepted(year: int) -> None:
    for month in range(14):
        for day in range(33):
            exists = 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]
            assert takes(THEIRS, f"{year}-{month:02}-{day:02}T00:00:00Z") == exists


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01t00:00:00Z",
        "2026-01-01T00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-12-31T23:59:60Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+2400",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00",
        "0999-12-31T00:00:00Z",
        "3000-01-01T00:00:00Z",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_times_that_only_some_programs_read_are_rejected(text: str) -> None:
    assert not takes(THEIRS, text)


@pytest.mark.parametrize("text", ["1000-01-01T00:00:00+23:59", "2999-12-31T23:59:59.999999999-23:59"])
def test_extreme_times_fit_into_a_status(text: str) -> None:
    assert takes(THEIRS, text)
    read = msgspec.convert(text, datetime)
    assert takes(OURS, msgspec.to_builtins(read))
