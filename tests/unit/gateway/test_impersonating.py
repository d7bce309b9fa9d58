"""The gateway impersonates users and their listed groups, but never those of Kubernetes itself."""

import json
from typing import Any, cast

import pytest

from podrelay.gateway.errors import NotAuthenticatedError, NotAuthorizedError
from podrelay.gateway.impersonating import Headers, Impersonation, headers_for
from podrelay.kube.client import Client

AUDIENCE = "tasks"


class Reviews:
    """An API server that answers TokenReviews."""

    def __init__(self, user: str, groups: list[str], audiences: list[str], *, authenticated: bool = True) -> None:
        user_info = {"username": user, "groups": groups}
        self._status = {"authenticated": authenticated, "user": user_info, "audiences": audiences}

    async def request(self, method: str, path: str, *, body: Any) -> bytes:
        assert (method, body["spec"]) == ("POST", {"token": "t", "audiences": [AUDIENCE]})
        return json.dumps({"status": self._status}).encode()


async def headers(
    user: str, *groups: str, wanted: tuple[str, ...] = (), audiences: tuple[str, ...] = (AUDIENCE,)
) -> Headers:
    own = cast("Client", Reviews(user, list(groups), list(audiences)))
    return await headers_for(own, "t", Impersonation(AUDIENCE, frozenset(wanted)))


async def test_a_user_has_only_the_listed_groups() -> None:
    groups = ("shop", "bank", "system:authenticated")

    assert await headers("alice", *groups) == (("Impersonate-User", "alice"),)
    assert await headers("alice", *groups, wanted=("shop", "other")) == (
        ("Impersonate-User", "alice"),
        ("Impersonate-Group", "shop"),
    )
    assert len(await headers("alice", *groups, wanted=("*",))) == 3


async def test_the_groups_of_a_service_account_are_left_to_the_api_server() -> None:
    user, groups = "system:serviceaccount:shop:web", ("system:serviceaccounts", "system:serviceaccounts:shop")

    assert await headers(user, *groups, wanted=("*",)) == (("Impersonate-User", user),)


@pytest.mark.parametrize(
    ("user", "groups"),
    [
        ("system:admin", ()),
        ("system:node:n1", ("system:nodes",)),
        ("system:anonymous", ("system:unauthenticated",)),
        ("alice", ("system:masters",)),
        ("alice", ("system:bootstrappers",)),
    ],
)
async def test_users_and_groups_of_kubernetes_itself_are_refused(user: str, groups: tuple[str, ...]) -> None:
    with pytest.raises(NotAuthorizedError):
        await headers(user, *groups, wanted=("*",))


@pytest.mark.parametrize("user", ["", "alice\r\nImpersonate-Group: system:masters", "a\x00"])
async def test_a_user_name_that_would_add_a_header_is_refused(user: str) -> None:
    with pytest.raises(NotAuthenticatedError):
        await headers(user)


async def test_a_group_that_would_add_a_header_is_refused() -> None:
    with pytest.raises(NotAuthenticatedError):
        await headers("alice", "shop\nImpersonate-Group: system:masters", wanted=("*",))


@pytest.mark.parametrize("audiences", [(), ("https://kubernetes.default.svc",)])
async def test_a_valid_token_for_another_audience_is_refused(audiences: tuple[str, ...]) -> None:
    with pytest.raises(NotAuthenticatedError):
        await headers("alice", audiences=audiences)
