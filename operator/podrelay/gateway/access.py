"""Authentication and authorization of callers: the API server decides, and its answers are cached for seconds.

The gateway sends these requests with the caller's token or, with tokens for its own audience (`impersonating`), on
behalf of the caller.

A yes counts for 10 s and a no for 2 s, under the SHA-256 of the token; the token itself is not stored. Every failure
counts as a no, with one exception: while the API server cannot be reached *and* the cache is stale, the last yes
remains valid for some minutes. It reveals nothing that the caller could not see before, because nothing new arrives.
"""

import asyncio
import copy
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
import orjson

from podrelay.api import names
from podrelay.gateway.errors import (
    API_FAILURES,
    GatewayError,
    NotAuthenticatedError,
    NotAuthorizedError,
    UnavailableError,
    from_api,
)
from podrelay.gateway.impersonating import Headers, Impersonation, headers_for
from podrelay.gateway.kept import Kept
from podrelay.gateway.metrics import REVIEWS
from podrelay.kube.client import Client

YES_SECONDS: Final = 10.0
NO_SECONDS: Final = 2.0
OUTAGE_SECONDS: Final = 300.0
"""How long a yes remains valid while the connection to the API server is broken."""
MAX_ANSWERS: Final = 10_000
"""Of each kind; a caller may ask about any number of names."""

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO_AM_I: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,16000}=*")
"""RFC 6750; any other text could not be sent to the API server."""

A = TypeVar("A")


@dataclass(frozen=True)
class Caller:
    """The sender of a request.

    Attributes:
        ident: identifies the caller; not a secret.
        client: the API server, with this caller's credentials.
    """

    ident: str
    client: Client


class Action(msgspec.Struct, frozen=True, gc=False):
    """What a caller wants to do, in terms of RBAC; namespace "" means all namespaces, name "" any object."""

    verb: str
    resource: str
    namespace: str
    name: str = ""
    group: str = names.GROUP
    subresource: str = ""

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
        return f"{self.words} {where}"

    @property
    def words(self) -> str:
        """Verb and resource, as `kubectl auth can-i` takes them."""
        resource = "/".join(filter(None, (self.resource, self.subresource)))
        return f"{self.verb} {resource}.{self.group}" if self.group else f"{self.verb} {resource}"


class _Answer(msgspec.Struct, Generic[A], frozen=True, gc=False):
    value: A | None
    error: GatewayError | None


class User(msgspec.Struct, frozen=True):
    """A user, as the API server knows them."""

    username: str = ""
    groups: tuple[str, ...] = ()


class _UserStatus(msgspec.Struct, rename="camel", frozen=True):
    user_info: User = User()


class _WhoAmI(msgspec.Struct, frozen=True):
    status: _UserStatus = _UserStatus()


class _Verdict(msgspec.Struct, frozen=True):
    allowed: bool = False


class _Review(msgspec.Struct, frozen=True):
    status: _Verdict = _Verdict()


class Access:
    """Asks the API server, and caches the answers.

    Args:
        client: the API server without credentials, or None if every caller has the gateway's own rights.
        own: the gateway's own client.
        is_stale: whether the cache currently misses changes.
        clock: monotonic time in seconds.
        impersonation: which tokens to accept, if not those of the API server.
    """

    def __init__(
        self,
        client: Client | None,
        own: Client,
        is_stale: Callable[[], bool],
        clock: Callable[[], float],
        impersonation: Impersonation | None = None,
    ) -> None:
        self._impersonation = impersonation
        self._client = client
        self.own = own
        """The gateway's own client."""
        self._is_stale = is_stale
        self._clock = clock
        self._yes: Kept[_Answer[Any]] = Kept(OUTAGE_SECONDS, MAX_ANSWERS, clock)
        self._no: Kept[_Answer[Any]] = Kept(NO_SECONDS, MAX_ANSWERS, clock)
        self._asking: dict[tuple[Any, ...], asyncio.Task[_Answer[Any]]] = {}

    def caller(self, authorization: str | None) -> Caller:
        """Return the caller for an Authorization header, without a request to the API server.

        Raises:
            NotAuthenticatedError: the header is missing, or is not a bearer token.
        """
        if self._client is None:
            return Caller("", self.own)
        kind, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not _TOKEN.fullmatch(token):
            raise NotAuthenticatedError("Send a bearer token of the cluster: Authorization: Bearer TOKEN.")
        ident = hashlib.sha256(token.encode()).hexdigest()
        if self._impersonation is None:
            return Caller(ident, self._client.on_behalf_of(token))
        return Caller(ident, self.own.in_the_name_of(self._naming(ident, token, self._impersonation)))

    def _naming(self, ident: str, token: str, impersonation: Impersonation) -> Callable[[], Awaitable[Headers]]:
        ask = partial(headers_for, self.own, token, impersonation)
        return partial(self._answer, (ident, "token"), ask, "authenticate", fresh=False)

    async def user(self, caller: Caller, *, fresh: bool = False) -> str:
        """Return the caller's user name, as the API server knows it.

        Raises:
            NotAuthenticatedError: the token is invalid.
            UnavailableError: the API server does not respond.
        """
        return (await self.identity(caller, fresh=fresh)).username

    async def identity(self, caller: Caller, *, fresh: bool = False) -> User:
        """Return the caller's user name and groups, as the API server knows them.

        Raises:
            NotAuthenticatedError: the token is invalid.
            UnavailableError: the API server does not respond.
        """

        async def ask() -> User:
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            answer = await caller.client.request("POST", _WHO_AM_I, body=body)
            return msgspec.json.decode(answer, type=_WhoAmI).status.user_info

        return await self._answer((caller.ident,), ask, "authenticate", fresh=fresh)

    async def check(self, caller: Caller, action: Action, *, fresh: bool = False) -> None:
        """Check that the caller may do this.

        Args:
            caller: the caller.
            action: what they want to do.
            fresh: ask the API server now, regardless of a cached answer.

        Raises:
            NotAuthorizedError: they may not.
            NotAuthenticatedError: the token is invalid.
            UnavailableError: the API server does not respond.
        """

        async def ask() -> bool:
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "group": action.group,
                        "version": names.VERSION if action.group == names.GROUP else "*",
                        "resource": action.resource,
                        "subresource": action.subresource,
                        "verb": action.verb,
                        "namespace": action.namespace,
                        "name": action.name,
                    }
                },
            }
            answer = await caller.client.request("POST", _REVIEWS, body=body)
            if not msgspec.json.decode(answer, type=_Review).status.allowed:
                raise NotAuthorizedError(f"You are not allowed to {action}.")
            return True

        await self._answer((caller.ident, action), ask, str(action), fresh=fresh)

    async def allows(self, caller: Caller, action: Action) -> bool:
        """Return whether the caller may do this.

        Raises:
            NotAuthenticatedError: the token is invalid.
            UnavailableError: the API server does not respond.
        """
        try:
            await self.check(caller, action)
        except NotAuthorizedError:
            return False
        return True

    async def _answer(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[A]], what: str, *, fresh: bool) -> A:
        known = None if fresh else self._yes.get(key, YES_SECONDS) or self._no.get(key)
        if known is None:
            known = await self._ask(key, ask, what)
        else:
            REVIEWS.labels("cached").inc()
        if known.error is not None:
            raise copy.copy(known.error)  # once raised, it refers to the frames of an operation
        return cast("A", known.value)  # the key decides the type

    async def _ask(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[A]], what: str) -> _Answer[A]:
        """Ask the API server once for all concurrent requests that need the same answer."""
        task = self._asking.get(key)
        REVIEWS.labels("asked" if task is None else "joined").inc()
        if task is None:
            task = asyncio.create_task(self._ask_now(key, ask, what))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # The first of them may be cancelled; the others still wait.
        return await asyncio.shield(task)

    async def _ask_now(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[A]], what: str) -> _Answer[A]:
        try:
            answer = _Answer(await ask(), None)
        except (GatewayError, *API_FAILURES, msgspec.MsgspecError, orjson.JSONEncodeError) as error:
            failure = _failure(error, what)
            if isinstance(failure, UnavailableError):
                # Not cached: the next request asks again.
                last = self._yes.get(key) if self._is_stale() else None
                return last or _Answer(None, failure)
            answer = _Answer(None, copy.copy(failure))
        kept, other = (self._yes, self._no) if answer.error is None else (self._no, self._yes)
        kept.put(key, answer)
        other.drop(key)
        return answer


def _failure(error: Exception, what: str) -> GatewayError:
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, API_FAILURES):
        return from_api(error, what)
    return UnavailableError(f"Could not {what}: the API server's answer is invalid.")
