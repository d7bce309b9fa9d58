"""Find the namespace of a request. It can be named in several places, which must agree.

Webiny's clients name a tenant in each request. A tenant is a namespace, except `root`, which Webiny's clients send if
there is only one tenant: it does not name a namespace.
"""

from collections.abc import Iterable
from typing import Final

from podrelay.gateway.call import Scope
from podrelay.gateway.errors import ValidationError

TENANT_HEADER: Final = "X-Tenant"
ROOT: Final = "root"
"""Webiny's default tenant."""
PATH: Final = "The path"
ASSUME_HEADER: Final = "X-Webiny-Assume-Permissions"
"""The header by which Webiny's administrators use the rights of another role instead of their own."""


def scope_of(named: Iterable[tuple[str, str]], default: str) -> Scope:
    """Return the namespace that a request names, or the default one.

    Args:
        named: the places where a namespace may be named, each with its value; "" means none.
        default: the namespace of requests that do not name one.

    Raises:
        ValidationError: a value is not a valid namespace, or two places name different ones.
    """
    found: dict[str, str] = {}
    for place, name in named:
        if name and not (place == TENANT_HEADER and name == ROOT):
            _check(place, name)
            found.setdefault(name, place)
    if len(found) > 1:
        said = ", ".join(f"{place} names {name}" for name, place in found.items())
        raise ValidationError(f"The request names two namespaces: {said}. Name only one of them.", "namespace")
    return Scope.parse(next(iter(found), default))


def _check(place: str, name: str) -> None:
    try:
        Scope.parse(name)
    except ValidationError:
        raise ValidationError(
            f"{place} must be a DNS label such as shop, or * for all namespaces.", "namespace"
        ) from None
