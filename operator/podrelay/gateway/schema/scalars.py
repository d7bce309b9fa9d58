"""Webiny's scalars: Number, JSON and DateTime."""

import math
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

Number = NewType("Number", float)
"""A whole number or one with a fraction."""
Json = NewType("Json", object)
"""Any JSON value."""
DateTime = NewType("DateTime", datetime)
"""A moment, in RFC 3339. One without a time zone is in UTC."""


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise GraphQLError(f"Number cannot represent {str(value)[:40]!r}")
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise GraphQLError(f"DateTime cannot represent {str(value)[:40]!r}; write 2026-11-24T10:00:00Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


SCALARS: dict[object, ScalarDefinition] = {
    Number: strawberry.scalar(name="Number", serialize=_number, parse_value=_number),
    Json: strawberry.scalar(name="JSON", serialize=lambda value: value, parse_value=lambda value: value),
    DateTime: strawberry.scalar(name="DateTime", serialize=_text, parse_value=_moment),
}
