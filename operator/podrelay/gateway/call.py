"""The context of a call, for resolvers: its caller, its namespace, and its budget."""

import asyncio
import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aiohttp import web

from podrelay.api import names
from podrelay.api.settings import DEFAULT_RETENTION_DAYS
from podrelay.gateway.access import Access, Action, Caller
from podrelay.gateway.cache import Cache
from podrelay.gateway.errors import LimitError, NotAuthenticatedError, TaskNotFoundError, ValidationError
from podrelay.gateway.event_loop.garbage import Garbage
from podrelay.gateway.event_loop.offloop import OffLoop
from podrelay.gateway.event_loop.turns import Turns
from podrelay.gateway.finished_runs import FinishedRuns
from podrelay.gateway.per_user_limits import ByUser
from podrelay.gateway.queues import Queues
from podrelay.gateway.read_your_writes import Write
from podrelay.gateway.statistics import Tallies
from podrelay.kube.resources import Key
from podrelay.schemas.process import SchemaProcess

NAMESPACE_HEADER: Final = "X-Podrelay-Namespace"
ALL_NAMESPACES: Final = "*"
MAX_ROWS: Final = 1000
"""Tasks and logs that one operation may return, including nested ones: each costs the event loop about 0.2 ms."""
MAX_LINES: Final = 50_000
"""Log lines that one operation may return: each takes a KiB of memory until the answer is sent."""
MAX_FETCHES: Final = 1000
"""Requests for payloads that one operation may cause: one for each task and log that it may return."""
FETCHES_AT_ONCE: Final = 16
"""How many of these requests run at the same time, so that other operations can use the rest of the gateway's."""
MAX_PAYLOAD_BYTES: Final = 16 * 2**20
"""The total size of these payloads."""
MAX_ANSWER_BYTES: Final = 16 * 2**20
"""The size of an answer: it is in memory until it is sent."""
MAX_LOOKS: Final = 1_000_000
"""Comparisons with objects of the cache that one operation may cause: each costs about 0.5 us."""

_BATCH_REFUSAL: Final = "The operations of this batch together exceed a limit: send fewer at once, or ask for less."

_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True)
class Limits:
    """What one caller may request."""

    max_page: int = 100
    max_subscriptions: int = 100
    """Of one user, over all connections; also the limit of WebSockets."""
    seconds: float = 30.0
    """For one query or mutation, and for a whole batch."""
    max_batch: int = 10
    """Operations in one request."""


@dataclass
class Services:
    """What all calls share."""

    cache: Cache
    access: Access
    limits: Limits = Limits()
    default_retention_days: int = DEFAULT_RETENTION_DAYS
    """The operator's default, for namespaces that do not set their own."""
    checker: SchemaProcess = field(default_factory=SchemaProcess)
    """Validates inputs against the schemas of definitions; in a separate process, because neither is trusted."""
    offloop: OffLoop = field(default_factory=OffLoop)
    turns: Turns = field(default_factory=Turns)
    subscriptions: ByUser = field(default_factory=ByUser)
    sockets: ByUser = field(default_factory=ByUser)
    """WebSockets that were admitted."""
    under_way: set[asyncio.Future[Any]] = field(default_factory=set)
    """Writes in progress."""
    garbage: Garbage = field(default_factory=Garbage)
    tallies: Tallies = field(init=False)
    queues: Queues = field(init=False)
    finished: FinishedRuns = field(init=False)

    def __post_init__(self) -> None:
        self.tallies = Tallies(self.cache.runs)
        self.queues = Queues(self.cache.runs)
        self.finished = FinishedRuns(self.cache.runs)


@dataclass(frozen=True)
class Scope:
    """The namespace that a call is for; None: all namespaces."""

    namespace: str | None

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Return the scope that a header or path names; "*" means all namespaces.

        Raises:
            ValidationError: it is not a valid name of a namespace.
        """
        if text == ALL_NAMESPACES:
            return cls(None)
        if not _NAMESPACE.fullmatch(text):
            raise ValidationError("The namespace must be a DNS label, or * for all.", "namespace")
        return cls(text)

    def ident(self, key: Key) -> str:
        """Return the id of an object: its name, preceded by its namespace if the call is for all namespaces."""
        return key.name if self.namespace is not None else f"{key.namespace}/{key.name}"

    def key(self, ident: str) -> Key:
        """Return the key of the object that an id names.

        Raises:
            TaskNotFoundError: no object can have this id in this scope.
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
        """Return whether an object can have this name. Other names are never put into a URL."""
        return _NAME.fullmatch(text) is not None

    def one(self) -> str:
        """Return the namespace.

        Raises:
            ValidationError: the call is for all namespaces.
        """
        if self.namespace is None:
            raise ValidationError(f"This needs one namespace: set the header {NAMESPACE_HEADER}.", "namespace")
        return self.namespace


@dataclass
class Budget:
    """What remains of the limits of one operation, and of those of its batch.

    Attributes:
        batch: what remains for all operations of the batch together; None: the operation is not in a batch.
        answer_bytes: of the answers of a batch; each operation has its own account (`schema.executing`).
        fetching: held during each read from the API server.
    """

    rows: int = MAX_ROWS
    lines: int = MAX_LINES
    fetches: int = MAX_FETCHES
    looks: int = MAX_LOOKS
    payload_bytes: int = MAX_PAYLOAD_BYTES
    batch: "Budget | None" = None
    answer_bytes: int = MAX_ANSWER_BYTES
    fetching: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(FETCHES_AT_ONCE))

    @classmethod
    def of_batch(cls) -> "Budget":
        """Return the budget of a whole batch: as much as two operations, but payloads, lines and an answer of one.

        The whole answer is in memory until it is sent.
        """
        return cls(rows=2 * MAX_ROWS, fetches=2 * MAX_FETCHES, looks=2 * MAX_LOOKS)

    @property
    def rows_left(self) -> int:
        """How many more objects can be returned."""
        return self.rows if self.batch is None else min(self.rows, self.batch.rows)

    def take_looks(self, count: int) -> None:
        """Account for comparisons with objects of the cache.

        Raises:
            LimitError: there are too many.
        """
        self._take(
            "looks",
            count,
            "Too many tasks or logs would have to be searched: narrow the list by definitionId, taskStatus, "
            "parentId or createdOn, use fewer words and conditions, or ask for fewer lists at once.",
        )

    def take_payload(self, size: int) -> None:
        """Account for the bytes of an object that was read.

        Raises:
            LimitError: there were too many.
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
            LimitError: there are too many.
        """
        self._take("rows", count, f"This would return more than {MAX_ROWS} tasks and logs; ask for fewer at once.")

    def take_lines(self, count: int) -> None:
        """Account for lines of a log that are returned.

        Raises:
            LimitError: there are too many.
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
        scope: the namespace.
        request: aiohttp's request.
        identity: the caller, once known.
        connection_params: the payload of a WebSocket client's first message; set by strawberry.
        budget: what remains for this operation, for all its root fields together.
        batch: what remains for all operations of the request, if it has several.
        until: the deadline of all operations of a batch, in event loop time; None: each operation has its own.
        ends_at: the deadline of this operation; does not apply to subscriptions.
        mutating: held by the mutation of the operation that is running.
        writes: the writes of this operation.
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
        """Return this call with a new budget; a WebSocket or a batch has many operations."""
        ends_at = asyncio.get_running_loop().time() + self.seconds_left()
        return replace(self, budget=Budget(batch=self.batch), mutating=asyncio.Lock(), writes=[], ends_at=ends_at)

    def for_batch(self) -> "Call":
        """Return this call with a budget and a deadline for all its operations together."""
        until = asyncio.get_running_loop().time() + self.services.limits.seconds
        return replace(self, batch=Budget.of_batch(), until=until)

    def seconds_left(self) -> float:
        """Return how long a query or mutation that begins now may take; 0 or less if the time of its batch is over."""
        left = self.services.limits.seconds
        return left if self.until is None else min(left, self.until - asyncio.get_running_loop().time())

    @property
    def caller(self) -> Caller:
        """The caller.

        Raises:
            NotAuthenticatedError: the caller is not known.
        """
        if self.identity is None:
            raise NotAuthenticatedError("No token was sent on this connection.")
        return self.identity

    @property
    def cache(self) -> Cache:
        """The cache that reads are answered from."""
        return self.services.cache

    async def may(self, verb: str, resource: str, key: Key | None = None, *, fresh: bool = False) -> None:
        """Check that the caller may do this, in the scope of the call or with one object.

        Raises:
            NotAuthorizedError, NotAuthenticatedError, UnavailableError: see Access.check.
        """
        # Every expensive field passes here, hundreds of one document in the same iteration of the event loop.
        await self.services.turns.give()
        await self.services.access.check(self.caller, self.action(verb, resource, key), fresh=fresh)

    def action(self, verb: str, resource: str, key: Key | None = None) -> Action:
        """Return the action that `may` checks."""
        namespace = key.namespace if key else self.scope.namespace or ""
        return Action(verb, resource, namespace, key.name if key else "")

    async def task_key(self, verb: str, ident: str) -> Key:
        """Return the key of the run that an id names, if the caller may do this with it. Nothing is looked up before.

        Raises:
            NotAuthorizedError: the caller may not, whether or not the run exists.
            TaskNotFoundError: no run can have this id.
        """
        try:
            key = self.scope.key(ident)
        except TaskNotFoundError:
            await self.may(verb, names.TASK_RUNS)
            raise
        await self.may(verb, names.TASK_RUNS, key)
        return key
