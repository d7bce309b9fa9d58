"""Leader election with a Lease: of several replicas, only the holder plans and writes.

Expiry is measured with this machine's boot clock since the last seen change of the Lease, never by its timestamps,
which come from another machine. The boot clock continues while the machine is suspended, so a suspended holder notices
that its Lease has expired.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from podrelay.api.errors import PodrelayError
from podrelay.kube.client import Client
from podrelay.kube.errors import AlreadyExistsError, ConflictError, NotFoundError
from podrelay.kube.resources import LEASES
from podrelay.operator.cache.creations import Term
from podrelay.operator.clocks import boot_clock
from podrelay.operator.event_recorder import Events
from podrelay.operator.rbac import Permission
from podrelay.operator.server_clock import ServerClock

log = logging.getLogger(__name__)

PERMISSIONS: Final = (Permission("coordination.k8s.io", ("leases",), ("get", "create", "update"), own_namespace=True),)

DEFAULT_DURATION_SECONDS: Final = 15.0
RENEW_SHARE: Final = 1 / 3
"""The holder renews the Lease after this share of the duration."""
GIVE_UP_SHARE: Final = 2 / 3
"""The holder stops leading when it could not renew the Lease for this share of the duration."""
RESERVE_SHARE: Final = 1 / 3
"""A pod is only created while the Lease stays valid for this share more: 5 s of 15, enough to open a connection.

Its admission may take longer than the Lease is valid: see `LeaderElection.good_until`.
"""
MARGIN_SHARE: Final = 1 / 5
"""Pods may be created until this share before the Lease expires: 3 s of 15. Creation times are cut to whole seconds, so
the clocks of several API servers may differ by 2 s."""
RETRY_SECONDS: Final = 2.0
READY_SECONDS: Final = 5.0
"""Readiness fails when requests for the Lease have failed for longer."""


class LeadershipLostError(PodrelayError):
    """This replica does not hold the Lease, or not for long enough."""


class _Spec(msgspec.Struct, rename="camel"):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class _Metadata(msgspec.Struct, rename="camel"):
    resource_version: str
    uid: str = ""


class _Lease(msgspec.Struct):
    metadata: _Metadata
    spec: _Spec = msgspec.field(default_factory=_Spec)


class LeaderElection:
    """Acquires and keeps the Lease.

    Args:
        client: the API server.
        namespace: the namespace of the Lease.
        name: the name of the Lease.
        identity: identifies this process; unique.
        duration_seconds: a Lease that has not changed for so long may be taken over.
        clock: monotonic seconds.
        restored: called when the Lease has an older version than before: the API server was restored from a backup.
        server_clock: the API server's clock, from the responses to `client`.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        duration_seconds: float = DEFAULT_DURATION_SECONDS,
        clock: Callable[[], float] = boot_clock,
        restored: Callable[[], None] = lambda: None,
        server_clock: ServerClock | None = None,
    ) -> None:
        self.held = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._duration = duration_seconds
        self._clock = clock
        self._restored = restored
        self._server_clock = server_clock or ServerClock(clock)
        self._newest = 0
        self._uid = ""
        self._renewed_at = float("-inf")
        self._failing_since: float | None = None
        self._failure = ""
        self._seen: tuple[str, float] | None = None

    def forget_version(self) -> None:
        """Forget the version of the Lease, because another watch has already noticed that versions have gone back."""
        self._newest = 0

    async def report_released(self, events: Events, why: str) -> None:
        """Create an Event on the Lease that says why it was released. Never raises on failure."""
        about = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "name": self._name, "uid": self._uid}
        await events.lease_given_away(about, self._namespace, self._identity, why)

    def problem(self) -> str | None:
        """Return why requests for the Lease have been failing, as a message for readiness; None if they work."""
        if self._failing_since is None or (seconds := self._clock() - self._failing_since) <= READY_SECONDS:
            return None
        return f"the API server has not answered for {seconds:.0f} s about the Lease: {self._failure}"

    def require(self) -> None:
        """Check that this replica holds the Lease for longer than a request can take.

        Raises:
            LeadershipLostError: it does not.
        """
        left = self._renewed_at + self._duration - self._clock()
        if not self.held.is_set() or left < self._duration * RESERVE_SHARE:
            lease = f"{self._namespace}/{self._name}"
            raise LeadershipLostError(f"this replica does not hold the Lease {lease}, or not for long enough")

    def good_until(self) -> datetime | None:
        """Return until when no other replica can take over the Lease, by the API server's clock.

        None if that clock is not trusted, or this replica does not hold the Lease.
        """
        if self._renewed_at == float("-inf"):
            return None
        return self._server_clock.earliest(self._renewed_at + self._duration * (1 - MARGIN_SHARE))

    def term(self) -> Term:
        """Return the term that has just begun."""
        return Term(self._server_clock.latest(self._clock()), self._duration)

    @property
    def duration_seconds(self) -> float:
        """A Lease that has not changed for so long may be taken over."""
        return self._duration

    async def acquire(self, may_lead: Callable[[], bool] = lambda: True) -> None:
        """Wait until this replica has acquired the Lease; call `keep()` at once, with which it starts to be held.

        Args:
            may_lead: returns whether this replica is able to lead; while it is not, the Lease is not requested.
        """
        while not (may_lead() and await self._attempt(self._acquire)):  # noqa: ASYNC110 - polls the API server
            await asyncio.sleep(min(RETRY_SECONDS, self._duration / 3))
        log.info("leading", extra={"lease": f"{self._namespace}/{self._name}", "identity": self._identity})

    async def keep(self) -> None:
        """Keep the Lease, and return when it is lost."""
        self.held.set()
        try:
            await self._keep()
        finally:
            self.held.clear()
        self._renewed_at = float("-inf")
        log.error("leadership lost", extra={"lease": f"{self._namespace}/{self._name}"})

    async def release(self) -> None:
        """Release the Lease if this replica holds it, so that another replica need not wait for its expiry.

        All tasks that may only write as the holder must have ended.
        """
        self.held.clear()
        if self._renewed_at == float("-inf"):
            return
        self._renewed_at = float("-inf")
        await self._attempt(self._give_back)

    async def _keep(self) -> None:
        while (left := self._renewed_at + self._duration * GIVE_UP_SHARE - self._clock()) > 0:
            if await self._attempt(self._renew, left):
                await asyncio.sleep(max(0.0, self._renewed_at + self._duration * RENEW_SHARE - self._clock()))
            elif self._renewed_at > float("-inf"):
                await asyncio.sleep(min(RETRY_SECONDS, self._duration / 10))

    async def _attempt(self, step: Callable[[], Awaitable[bool]], seconds: float | None = None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                answer = await step()
        except (PodrelayError, TimeoutError) as error:
            self._failure = str(error) or type(error).__name__
            if self._failing_since is None:
                self._failing_since = self._clock()
            log.warning("lease request failed: %s", self._failure)
            return False
        self._failing_since = None
        return answer

    async def _acquire(self) -> bool:
        try:
            lease = await self._get()
        except NotFoundError:
            return await self._write(None)
        holder = lease.spec.holder_identity
        version = lease.metadata.resource_version
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, self._clock())
        expired = self._clock() - self._seen[1] >= (lease.spec.lease_duration_seconds or self._duration)
        if holder and holder != self._identity and not expired:
            return False
        return await self._write(lease)

    async def _renew(self) -> bool:
        lease = await self._get()
        if lease.spec.holder_identity != self._identity:
            self._renewed_at = float("-inf")  # another replica holds it: stop at once
            return False
        return await self._write(lease)

    async def _give_back(self) -> bool:
        lease = await self._get()
        if lease.spec.holder_identity == self._identity:
            lease.spec.holder_identity = ""
            await self._put(lease)
        return True

    async def _get(self) -> _Lease:
        return self._read(await self._client.get(LEASES, self._namespace, self._name))

    def _read(self, body: bytes) -> _Lease:
        """Decode the Lease, and check that its version has not gone back; these reads return the latest version."""
        lease = msgspec.json.decode(body, type=_Lease)
        version = int(lease.metadata.resource_version)
        if version < self._newest:
            log.warning(
                "the API server has gone back in time, as after a restore of its database: starting again",
                extra={"resource": LEASES.plural, "known_version": self._newest, "version": version},
            )
            self._restored()
        self._newest, self._uid = version, lease.metadata.uid
        return lease

    async def _write(self, lease: _Lease | None) -> bool:
        started, now = self._clock(), datetime.now(UTC).isoformat().replace("+00:00", "Z")
        spec = lease.spec if lease else _Spec()
        if spec.holder_identity != self._identity:
            spec.acquire_time = now
            spec.lease_transitions = (spec.lease_transitions or 0) + (1 if lease else 0)
        spec.holder_identity = self._identity
        spec.lease_duration_seconds = math.ceil(self._duration)  # other replicas must not take it over earlier
        spec.renew_time = now
        try:
            await (self._put(lease) if lease else self._create(spec))
        except (ConflictError, AlreadyExistsError):
            return False
        self._renewed_at = started  # the time before the request, which may have taken effect at once
        return True

    async def _put(self, lease: _Lease) -> None:
        body = self._manifest(lease.spec)
        body["metadata"]["resourceVersion"] = lease.metadata.resource_version
        self._read(await self._client.replace(LEASES, self._namespace, self._name, body))

    async def _create(self, spec: _Spec) -> None:
        self._read(await self._client.create(LEASES, self._namespace, self._manifest(spec)))

    def _manifest(self, spec: _Spec) -> dict[str, Any]:
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {key: value for key, value in msgspec.to_builtins(spec).items() if value is not None},
        }
