"""Fields whose docstrings are their descriptions in the schema."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import strawberry

F = TypeVar("F", bound=Callable[..., Any])


def described(method: F) -> F:
    """Make a method a field."""
    return cast("F", strawberry.field(method, description=words_of(method)))


def subscription(method: F) -> F:
    """Make a method a subscription."""
    return cast("F", strawberry.subscription(method, description=words_of(method)))


def words_of(method: Callable[..., Any]) -> str | None:
    """Return the docstring of a method, in one line for each paragraph."""
    text = inspect.getdoc(method)
    return None if text is None else "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
