"""Which namespace a request is for. It can be named in several places, which have to agree.

Webiny's clients name a tenant in each request. A namespace is a tenant; `root`, which Webiny's clients send where there
is one tenant only, names none.
"""

from collections.abc import Iterable
from typing import Final

from podrelay.gateway.call import Scope
from podrelay.gateway.errors import ValidationError

TENANT_HEADER: Final = "X-Tenant"
ROOT: Final = "root"
"""Webiny's tenant where nobody has made another one."""
PATH: Final = "The path"
ASSUME_HEADER: Final = "X-Webiny-Assume-Permissions"
"""With it Webiny's administrators look at what another role may do, with its rights in place of their own."""


def scope_of(named: Iterable[tuple[str, str]], default: str) -> Scope:
    """Return the namespace that a request names, or the default one.

    Args:
        named: where a namespace may be named, and what stands there; "" is nothing.
        default: of requests that name none.

    Raises:
        ValidationError: what is named is no namespace, or two places name different ones.
    """
    found: dict[str, str] = {}
    for place, name in named:
        if name and not (place == TENANT_HEADER and name == ROOT):
            _check(place, name)
            found.setdefault(name, place)
    if len(found) > 1:
        said = ", ".join(f"{place} names {name}" for name, place in found.items())
        raise ValidationError(f"The request is for two namespaces: {said}. Name one of them only.", "namespace")
    return Scope.parse(next(iter(found), default))


def _check(place: str, name: str) -> None:
    try:
        Scope.parse(name)
    except ValidationError:
        raise ValidationError(
            f"{place} names no namespace: it must be a DNS label such as shop, or * for all namespaces.", "namespace"
        ) from None
