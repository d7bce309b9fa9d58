"""Callers with tokens for the gateway's own audience: authenticate them, and act on their behalf.

Such a token is useless at the API server. The gateway has it checked by a TokenReview, and then sends requests on
behalf of its user by impersonation, so that roles, admission policies and audit logs see that user. RBAC decides whom
the gateway's account may impersonate; the gateway itself refuses users and groups of Kubernetes.
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
    """The audience of accepted tokens, and the groups that apply.

    Attributes:
        audience: the audience of the tokens.
        groups: groups whose rights their members have here; "*" means all groups.
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


async def headers_for(own: Client, token: str, impersonation: Impersonation) -> Headers:
    """Return the headers for requests on behalf of a token's user.

    Args:
        own: the API server, with the gateway's own credentials.
        token: the caller's token.
        impersonation: the audience, and the groups that apply.

    Raises:
        NotAuthenticatedError: the token is invalid, or is for another audience.
        NotAuthorizedError: its user belongs to Kubernetes itself.
        ApiError, TimeoutError, TransportError: the TokenReview failed.
    """
    body: Mapping[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [impersonation.audience]},
    }
    verdict = msgspec.json.decode(await own.request("POST", _TOKEN_REVIEWS, body=body), type=_Review).status
    # An authenticator that does not support audiences accepts every valid token, and returns no audience.
    if not verdict.authenticated or impersonation.audience not in verdict.audiences:
        raise NotAuthenticatedError(f"The token is invalid, or not for the audience {impersonation.audience}.")
    return _named(verdict.user.username, verdict.user.groups, impersonation.groups)


def _named(user: str, groups: Iterable[str], wanted: frozenset[str]) -> Headers:
    if not user or not all(map(str.isprintable, (user, *groups))):
        raise NotAuthenticatedError(
            "The name of the token's user or of a group is empty or has unprintable characters."
        )
    if user.startswith(_SERVICE_ACCOUNT):
        # The API server adds the groups of service accounts by itself, and requires no right for them.
        return (("Impersonate-User", user),)
    if user.startswith(_SYSTEM) or any(map(_is_of_kubernetes, groups)):
        raise NotAuthorizedError(f"{user} belongs to Kubernetes itself; the gateway does not impersonate it.")
    named = [group for group in groups if not group.startswith(_SYSTEM) and (ALL in wanted or group in wanted)]
    return (("Impersonate-User", user), *(("Impersonate-Group", group) for group in named))


def _is_of_kubernetes(group: str) -> bool:
    return group.startswith(_SYSTEM) and group not in _OF_EVERYBODY and not group.startswith(_OF_A_NAMESPACE)
