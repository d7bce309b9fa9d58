"""Webiny's scalars: Number, JSON and DateTime."""

import math
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Number = NewType("Number", float)
"""An integer or a float."""
Json = NewType("Json", object)
"""Any JSON value."""
DateTime = NewType("DateTime", datetime)
"""A time in RFC 3339; without a time zone it is in UTC."""


def json_or_null(value: object) -> Json | None:
    """Return a value as JSON; None stays null."""
    return None if value is None else Json(value)


def time_or_null(moment: datetime | None) -> DateTime | None:
    """Return a time; None stays null."""
    return None if moment is None else DateTime(moment)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
        raise GraphQLError(f"Number cannot represent {_shown(value)}; send a finite number that fits into 64 bits")
    return value


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond 1.8e308
        return False


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    return repr(str(value)[:40])


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else moment  # kept naive, because `startAt` needs a time zone
    except (TypeError, ValueError) as error:
        raise GraphQLError(
            f"DateTime cannot represent {_shown(value)}; use for example 2026-11-24T10:00:00Z"
        ) from error
    except OverflowError as error:
        raise GraphQLError(
            f"DateTime cannot represent {_shown(value)}: in UTC it is before the year 1 or after 9999"
        ) from error


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


SCALARS: dict[object, ScalarDefinition] = {
    Number: strawberry.scalar(name="Number", serialize=_number, parse_value=_number),
    Json: strawberry.scalar(name="JSON", serialize=lambda value: value, parse_value=lambda value: value),
    DateTime: strawberry.scalar(name="DateTime", serialize=_text, parse_value=_moment),
}
