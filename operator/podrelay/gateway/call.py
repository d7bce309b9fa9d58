"""One call: who sends it, for which namespace, and what it may cost. Everything that resolvers need."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import web

from podrelay.api import names
from podrelay.api.settings import DEFAULT_RETENTION_DAYS
from podrelay.gateway.access import Access, Attempt, Caller
from podrelay.gateway.cache import Cache
from podrelay.gateway.errors import LimitError, NotAuthenticatedError, TaskNotFoundError, ValidationError
from podrelay.gateway.garbage import Garbage
from podrelay.gateway.offloop import OffLoop
from podrelay.gateway.statistics import Tallies
from podrelay.gateway.turns import Turns
from podrelay.gateway.users import ByUser
from podrelay.gateway.written import Write
from podrelay.kube.resources import Key
from podrelay.schemas.process import SchemaProcess

NAMESPACE_HEADER: Final = "X-Podrelay-Namespace"
ALL_NAMESPACES: Final = "*"
MAX_ROWS: Final = 1000
"""Tasks and logs that one operation may return, nested ones included: each costs the event loop some 0.2 ms."""
MAX_LINES: Final = 50_000
"""Lines of these logs: each takes a KiB of memory until the answer is sent."""
MAX_FETCHES: Final = 1000
"""Requests to the API server that one operation may cause: one for each task and log that it may return."""
FETCHES_AT_ONCE: Final = 16
"""So many of them wait for the API server at the same time; the others of the gateway's requests are left to others."""
MAX_PAYLOAD_BYTES: Final = 16 * 2**20
"""What these may bring, together."""
MAX_LOOKS: Final = 1_000_000
"""Comparisons with objects of the cache that one operation may cause: each costs some 0.5 us."""

_BATCH_REFUSAL: Final = "The operations of this batch cost too much together: send fewer at once, or ask for less."

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Limits:
    """What one caller may ask for at once."""

    max_page: int = 100
    max_subscriptions: int = 100
    """Of one user, over all connections; so many WebSockets as well."""
    seconds: float = 30.0
    """For one query or mutation, and for all of a batch."""
    max_batch: int = 10
    """Operations in one request."""


@dataclass
class Services:
    """What all calls share."""

    cache: Cache
    access: Access
    limits: Limits = Limits()
    default_retention_days: int = DEFAULT_RETENTION_DAYS
    """What the operator goes by where a namespace says nothing."""
    checker: SchemaProcess = field(default_factory=SchemaProcess)
    """Holds inputs to the schemas of definitions; in a process, because both are strangers' work."""
    offloop: OffLoop = field(default_factory=OffLoop)
    turns: Turns = field(default_factory=Turns)
    subscriptions: ByUser = field(default_factory=ByUser)
    sockets: ByUser = field(default_factory=ByUser)
    """WebSockets that were let in."""
    under_way: set[asyncio.Future[Any]] = field(default_factory=set)
    """Writes that were sent."""
    garbage: Garbage = field(default_factory=Garbage)
    tallies: Tallies = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = Tallies(self.cache.runs)


@dataclass(frozen=True)
class Scope:
    """The namespace that a call is for; None: all of them."""

    namespace: str | None

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Return the scope that a header or path names; "*" is all namespaces.

        Raises:
            ValidationError: it is no name of a namespace.
        """
        if text == ALL_NAMESPACES:
            return cls(None)
        if not _NAMESPACE.fullmatch(text):
            raise ValidationError("The namespace must be a DNS label, or * for all.", "namespace")
        return cls(text)

    def ident(self, key: Key) -> str:
        """Return the id of an object: its name, with its namespace before it where the call is for all of them."""
        return key.name if self.namespace is not None else f"{key.namespace}/{key.name}"

    def key(self, ident: str) -> Key:
        """Return which object an id means.

        Raises:
            TaskNotFoundError: nothing can have this id here.
        """
        namespace, slash, name = ident.rpartition("/")
        if bool(slash) is (self.namespace is not None):
            raise TaskNotFoundError(ident)
        key = Key(self.namespace or namespace, name)
        if not (_NAMESPACE.fullmatch(key.namespace) and _NAME.fullmatch(key.name)):
            raise TaskNotFoundError(ident)
        return key

    @staticmethod
    def is_name(text: str) -> bool:
        """Tell whether an object can have this name. Whatever else is never put into a URL."""
        return _NAME.fullmatch(text) is not None

    def one(self) -> str:
        """Return the namespace.

        Raises:
            ValidationError: the call is for all of them.
        """
        if self.namespace is None:
            raise ValidationError(f"This needs one namespace: name it in the header {NAMESPACE_HEADER}.", "namespace")
        return self.namespace


@dataclass
class Budget:
    """What is left of what one operation may cost, and with it all of its batch.

    Attributes:
        batch: what is left for all operations of the batch together; None: it is in none.
        fetching: whoever reads something from the API server holds it meanwhile.
    """

    rows: int = MAX_ROWS
    lines: int = MAX_LINES
    fetches: int = MAX_FETCHES
    looks: int = MAX_LOOKS
    payload_bytes: int = MAX_PAYLOAD_BYTES
    batch: "Budget | None" = None
    fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES_AT_ONCE))

    @classmethod
    def of_batch(cls) -> "Budget":
        """Return what all operations of a batch may cost together: as much as two, but no more payloads than one.

        Payloads and lines are in memory all at once, until the whole answer is sent.
        """
        return cls(rows=2 * MAX_ROWS, fetches=2 * MAX_FETCHES, looks=2 * MAX_LOOKS)

    @property
    def rows_left(self) -> int:
        """How many objects can still be returned."""
        return self.rows if self.batch is None else min(self.rows, self.batch.rows)

    def take_looks(self, count: int) -> None:
        """Account for objects that are looked at, each as often as something is compared with it.

        Raises:
            LimitError: they are too many.
        """
        self._take(
            "looks",
            count,
            "Too many tasks or logs would have to be looked at: narrow the list by definitionId, taskStatus, "
            "parentId or createdOn, give fewer words and conditions, or ask for fewer lists at once.",
        )

    def take_payload(self, size: int) -> None:
        """Account for an object that was read, in bytes.

        Raises:
            LimitError: they were too many.
        """
        self._take(
            "payload_bytes",
            size,
            f"The input, output and log lines have more than {MAX_PAYLOAD_BYTES // 2**20} MiB; "
            "ask for those of fewer tasks at once.",
        )

    def take_rows(self, count: int) -> None:
        """Account for objects that are returned.

        Raises:
            LimitError: they are too many.
        """
        self._take("rows", count, f"This would return more than {MAX_ROWS} tasks and logs; ask for fewer at once.")

    def take_lines(self, count: int) -> None:
        """Account for lines of a log that are returned.

        Raises:
            LimitError: they are too many.
        """
        self._take("lines", count, f"The logs have more than {MAX_LINES} lines; ask for those of fewer tasks at once.")

    def take_fetch(self) -> None:
        """Account for a request to the API server.

        Raises:
            LimitError: there were too many.
        """
        self._take(
            "fetches",
            1,
            f"This needs more than {MAX_FETCHES} requests to the API server; "
            "ask for input, output and log lines of fewer tasks at once.",
        )

    def _take(self, what: str, count: int, refusal: str) -> None:
        left = getattr(self, what) - count
        setattr(self, what, left)
        if left < 0:
            raise LimitError(refusal)
        if self.batch is not None:
            self.batch._take(what, count, _BATCH_REFUSAL)


@dataclass
class Call:
    """The context of an HTTP request, or of a WebSocket.

    Attributes:
        services: what all calls share.
        scope: which namespace.
        request: as aiohttp has it.
        identity: who calls, once that is known.
        connection_params: what a WebSocket client sent first; strawberry fills it in.
        budget: what is left for this operation, all fields of its root together.
        batch: what is left for all operations of the request, where it has several.
        until: when their time is over, by the clock of the event loop; None: each has its own.
        ends_at: when the time of this operation is over; not for subscriptions.
        mutating: whichever mutation of an operation has its turn holds it.
        writes: what this operation has written.
    """

    services: Services
    scope: Scope
    request: web.Request
    identity: Caller | None = None
    connection_params: dict[str, Any] | None = None
    budget: Budget = field(default_factory=Budget)
    batch: Budget | None = None
    until: float | None = None
    ends_at: float | None = None
    mutating: asyncio.Lock = field(default_factory=asyncio.Lock)
    writes: list[Write] = field(default_factory=list)

    def for_operation(self) -> "Call":
        """Return this call with a budget of its own; on a WebSocket and in a batch there are many operations."""
        return replace(
            self,
            budget=Budget(batch=self.batch),
            mutating=asyncio.Lock(),
            writes=[],
            ends_at=self._end_of_operation(),
        )

    def for_batch(self) -> "Call":
        """Return this call with a budget and a time for all its operations together."""
        until = asyncio.get_running_loop().time() + self.services.limits.seconds
        return replace(self, batch=Budget.of_batch(), until=until)

    def _end_of_operation(self) -> float:
        end = asyncio.get_running_loop().time() + self.services.limits.seconds
        return end if self.until is None else min(end, self.until)

    def seconds_left(self) -> float:
        """Return how long a query or mutation that begins now may take; 0 or less if its batch took too long."""
        left = self.services.limits.seconds
        return left if self.until is None else min(left, self.until - asyncio.get_running_loop().time())

    @property
    def caller(self) -> Caller:
        """Who calls.

        Raises:
            NotAuthenticatedError: nobody has said so.
        """
        if self.identity is None:
            raise NotAuthenticatedError("The connection has sent no token.")
        return self.identity

    @property
    def cache(self) -> Cache:
        """What reads are answered from."""
        return self.services.cache

    async def may(self, verb: str, resource: str, key: Key | None = None, *, fresh: bool = False) -> None:
        """Return if the caller may do this, in the scope of the call or with one object.

        Raises:
            NotAuthorizedError, NotAuthenticatedError, UnavailableError: as Access.check.
        """
        # Every field that costs something comes by here, hundreds of a document in the same round of the loop.
        await self.services.turns.give()
        await self.services.access.check(self.caller, self.attempt(verb, resource, key), fresh=fresh)

    def attempt(self, verb: str, resource: str, key: Key | None = None) -> Attempt:
        """Return what `may` asks for."""
        namespace = key.namespace if key else self.scope.namespace or ""
        return Attempt(verb, resource, namespace, key.name if key else "")

    async def task_key(self, verb: str, ident: str) -> Key:
        """Return which run an id means, if the caller may do this with it. The check comes before any look-up.

        Raises:
            NotAuthorizedError: they may not, whether it exists or not.
            TaskNotFoundError: nothing can have this id.
        """
        try:
            key = self.scope.key(ident)
        except TaskNotFoundError:
            await self.may(verb, names.TASK_RUNS)
            raise
        await self.may(verb, names.TASK_RUNS, key)
        return key
