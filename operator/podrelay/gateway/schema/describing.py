"""Fields whose descriptions in the schema are their docstrings."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def described(method: F) -> F:
    """Turn a method into a field."""
    return cast("F", strawberry.field(method, description=words_of(method)))


def subscription(method: F) -> F:
    """Turn a method into a subscription."""
    return cast("F", strawberry.subscription(method, description=words_of(method)))


def words_of(method: Callable[..., Any]) -> str | None:
    """Return the docstring of a method, with each paragraph on one line."""
    text = inspect.getdoc(method)
    return None if text is None else "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
