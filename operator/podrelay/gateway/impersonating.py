"""Callers with tokens that are made for the gateway alone: whose they are, and acting in their name.

Such a token is worth nothing at the API server. The gateway has it checked by a TokenReview, and then asks in the name
of its user by impersonation, so that roles, admission policies and audit logs see that user. What the gateway's own
account may impersonate is for its RBAC to say; beyond that nobody is impersonated who belongs to Kubernetes itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from podrelay.gateway.errors import NotAuthenticatedError, NotAuthorizedError
from podrelay.kube.client import Client

ALL: Final = "*"
Headers = tuple[tuple[str, str], ...]

_TOKEN_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
_SYSTEM: Final = "system:"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_OF_EVERYBODY: Final = frozenset({"system:authenticated", "system:serviceaccounts"})
_OF_A_NAMESPACE: Final = "system:serviceaccounts:"


@dataclass(frozen=True)
class Impersonation:
    """For whom tokens are made, and with which rights their users come.

    Attributes:
        audience: of the tokens.
        groups: whose members' rights count; "*" for those of all groups.
    """

    audience: str
    groups: frozenset[str] = field(default_factory=frozenset)


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    groups: list[str] = []


class _Verdict(msgspec.Struct, frozen=True):
    authenticated: bool = False
    audiences: list[str] = []
    user: _User = _User()


class _Review(msgspec.Struct, frozen=True):
    status: _Verdict = _Verdict()


async def headers_for(own: Client, token: str, wish: Impersonation) -> Headers:
    """Return the headers by which a request is made in the name of a token's user.

    Args:
        own: the API server, with the gateway's own credentials.
        token: of the caller.
        wish: what tokens and whose rights count.

    Raises:
        NotAuthenticatedError: the token is good for nothing, or made for somebody else.
        NotAuthorizedError: its user belongs to Kubernetes itself.
        ApiError, TimeoutError, TransportError: nobody can tell now.
    """
    body: Mapping[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [wish.audience]},
    }
    verdict = msgspec.json.decode(await own.request("POST", _TOKEN_REVIEWS, body=body), type=_Review).status
    # An authenticator that knows nothing of audiences says yes to every token that it knows, and names none.
    if not verdict.authenticated or wish.audience not in verdict.audiences:
        raise NotAuthenticatedError(f"The token is not one for the audience {wish.audience}.")
    return _named(verdict.user.username, verdict.user.groups, wish.groups)


def _named(user: str, groups: Iterable[str], wanted: frozenset[str]) -> Headers:
    if not user or not all(map(str.isprintable, (user, *groups))):
        raise NotAuthenticatedError("The name of the token's user, or of a group, cannot be used.")
    if user.startswith(_SERVICE_ACCOUNT):
        # The API server adds the groups of service accounts itself, and asks for no right to them.
        return (("Impersonate-User", user),)
    if user.startswith(_SYSTEM) or any(map(_is_of_kubernetes, groups)):
        raise NotAuthorizedError(f"{user} belongs to Kubernetes itself, and is not served here.")
    named = [group for group in groups if not group.startswith(_SYSTEM) and (ALL in wanted or group in wanted)]
    return (("Impersonate-User", user), *(("Impersonate-Group", group) for group in named))


def _is_of_kubernetes(group: str) -> bool:
    return group.startswith(_SYSTEM) and group not in _OF_EVERYBODY and not group.startswith(_OF_A_NAMESPACE)
