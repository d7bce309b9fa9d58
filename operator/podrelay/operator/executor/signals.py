"""Reads and writes of TaskSignals: for runs, which consume them, and for the controller that judges them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from podrelay.api import limits, names, signal_times
from podrelay.api.invalid_input import in_words
from podrelay.kube.api import Api
from podrelay.kube.errors import ConflictError, InvalidError, NotFoundError
from podrelay.kube.resources import TASK_SIGNALS, Key
from podrelay.operator.cache.signals import SignalCache
from podrelay.operator.executor import pod_builder
from podrelay.operator.executor.requests import Requests
from podrelay.operator.objects.signals import CONSUMED, REJECTED, TaskSignal
from podrelay.operator.plan import Action, ConsumeSignals
from podrelay.operator.rbac import Permission
from podrelay.operator.signal_planner.plan import Adopt, CheckPayload, Delete, Reject
from podrelay.operator.view import View
from podrelay.schemas.verdict import Verdict

PERMISSIONS: Final = (
    Permission(names.GROUP, (names.TASK_SIGNALS,), ("get", "patch", "delete")),
    Permission(names.GROUP, (f"{names.TASK_SIGNALS}/status",), ("patch",)),
)

_ATTEMPTS: Final = 5
"""Of a write whose object changes meanwhile: owners and annotations may change, nothing else."""

_decode = msgspec.json.Decoder(TaskSignal).decode


class Schemas(Protocol):
    """Checks payloads against schemas."""

    async def check(self, schema: dict[str, Any], input: dict[str, Any] | None = None) -> Verdict:
        """Return what is wrong with `input` according to `schema`."""


class Given(NamedTuple):
    """A signal that a pod is given, with its payload."""

    name: str
    content: dict[str, Any]
    """The fields that a program gets: signal, payload and so on."""


class SignalActions:
    """Gives signals to pods, and marks those that an answer has consumed.

    Args:
        requests: sends requests to the API server.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._store = requests.store
        self._cache = requests.store.inboxes

    @property
    def handlers(self) -> Mapping[type[Action], Callable[[Key, View, Any], Awaitable[None]]]:
        """The handler of each kind of action, called by `Executor.carry_out`."""
        return {ConsumeSignals: self._consume}

    async def give(self, key: Key, signals: tuple[str, ...]) -> list[Given] | None:
        """Read live the signals that a pod is about to be given; None if one is no longer pending, or is gone.

        The cache may be old: only a live read proves that no answer before has consumed a signal.

        Raises:
            ApiError, TransportError, TimeoutError: a signal could not be read.
        """
        found: list[Given] = []
        for name in signals:
            body = await _read(self._requests.client, self._cache, Key(key.namespace, name))
            signal = _decode(body) if body is not None else None
            if body is None or signal is None or not signal.is_pending or signal.spec.task_run != key.name:
                return None
            found.append(Given(name, _content(msgspec.json.decode(body))))
        return found

    async def _consume(self, key: Key, view: View, action: ConsumeSignals) -> None:
        for name in action.signals:
            await self._mark(key, name, action)
        self._store.confirm_consumed(view.run, action.record)

    async def _mark(self, key: Key, name: str, action: ConsumeSignals) -> None:
        """Mark a signal as consumed, unless it is gone or belongs to another run."""
        client, own = self._requests.client, Key(key.namespace, name)
        known = self._cache.signal(own)
        for _ in range(_ATTEMPTS):
            if known is None:
                body = await _read(client, self._cache, own)
                known = _decode(body) if body is not None else None
            if known is None or known.spec.task_run != key.name or known.status.phase == CONSUMED:
                return
            status = {
                "phase": CONSUMED,
                "iteration": action.iteration,
                "record": action.record,
                "processedAt": _now(self._requests),
                "reason": None,
                "message": None,
            }
            patch = {"metadata": {"resourceVersion": known.metadata.resource_version}, "status": status}
            try:
                written = await self._requests.write(
                    "consume_signal",
                    client.patch(TASK_SIGNALS, key.namespace, name, patch, subresource="status"),
                )
            except (ConflictError, NotFoundError):
                known = None
            else:
                self._cache.signals.apply(_decode(written))
                return
        raise ConflictError(409, "Conflict", f"TaskSignal {name} changes all the time")


class SignalExecutor:
    """Carries out what is planned for a signal.

    Args:
        requests: sends requests to the API server.
        schemas: checks payloads.
    """

    def __init__(self, requests: Requests, schemas: Schemas) -> None:
        self._requests = requests
        self._cache: SignalCache = requests.store.inboxes
        self._schemas = schemas

    async def adopt(self, signal: TaskSignal, action: Adopt) -> None:
        """Make a run the owner of a signal.

        Raises:
            ApiError, TransportError, TimeoutError: the request failed.
        """
        owners = [pod_builder.owner_reference_to(action.run, action.uid)]
        await self._patch("adopt_signal", signal, {"metadata": {"ownerReferences": owners}})

    async def reject(self, signal: TaskSignal, action: Reject) -> None:
        """Show that a signal was rejected.

        Raises:
            ApiError, TransportError, TimeoutError: the request failed.
        """
        status = {
            "phase": REJECTED,
            "reason": action.reason,
            "message": limits.cut(action.message, limits.MESSAGE_LENGTH),
            "processedAt": _now(self._requests),
        }
        await self._patch("reject_signal", signal, {"status": status}, "status")

    async def delete(self, signal: TaskSignal, _action: Delete) -> None:
        """Delete a signal in this version.

        Raises:
            ApiError, TransportError, TimeoutError: the request failed.
        """
        about = signal.metadata
        try:
            await self._requests.write(
                "delete_signal",
                self._requests.client.delete(
                    TASK_SIGNALS,
                    about.namespace,
                    about.name,
                    uid=about.uid,
                    resource_version=about.resource_version,
                ),
            )
        except (ConflictError, NotFoundError):
            await _read(self._requests.client, self._cache, Key(about.namespace, about.name))
            return
        self._cache.signals.forget(Key(about.namespace, about.name), about.name, about.uid)

    async def check(self, signal: TaskSignal, action: CheckPayload) -> str | None:
        """Return why the payload does not fit the schema; empty if it fits, None if the signal is gone.

        Raises:
            ApiError, TransportError, TimeoutError: the signal could not be read, or the check failed.
        """
        body = await _read(self._requests.client, self._cache, Key(signal.metadata.namespace, signal.metadata.name))
        if body is None:
            return None
        payload = (msgspec.json.decode(body)["spec"].get("payload")) or {}
        verdict = await self._schemas.check(action.schema, payload)
        if verdict.problem is not None:
            return f"payloadSchema of the TaskDefinition is not a valid JSON Schema: {verdict.problem}"
        return in_words(verdict.fields) if verdict.fields else ""

    async def _patch(
        self, kind: str, signal: TaskSignal, patch: dict[str, Any], subresource: str | None = None
    ) -> None:
        about = signal.metadata
        metadata = {**patch.get("metadata", {}), "resourceVersion": about.resource_version}
        try:
            body = await self._requests.write(
                kind,
                self._requests.client.patch(
                    TASK_SIGNALS,
                    about.namespace,
                    about.name,
                    patch | {"metadata": metadata},
                    subresource=subresource,
                ),
            )
        except (ConflictError, NotFoundError, InvalidError) as error:
            stored = await _read(self._requests.client, self._cache, Key(about.namespace, about.name))
            if isinstance(error, InvalidError) and stored is not None and _decode(stored) == signal:
                raise
            return
        self._cache.signals.apply(_decode(body))


def _content(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a signal that a program without API access gets."""
    about, spec = stored["metadata"], stored["spec"]
    content = {
        "name": about["name"],
        "signal": spec["signal"],
        "payload": spec.get("payload") or {},
        "sentAt": _sent_at(about),
        "decision": spec.get("decision"),
        "sender": (about.get("annotations") or {}).get(names.ANNOTATION_CREATED_BY),
    }
    return {field: value for field, value in content.items() if value is not None}


def _sent_at(about: dict[str, Any]) -> str:
    created = datetime.fromisoformat(about["creationTimestamp"])
    annotated = (about.get("annotations") or {}).get(names.ANNOTATION_SENT_AT)
    return _rfc3339(signal_times.sent_at(annotated, created))


async def _read(client: Api, cache: SignalCache, key: Key) -> bytes | None:
    """Read a signal into the cache and return it; None if it does not exist."""
    try:
        body = await client.get(TASK_SIGNALS, key.namespace, key.name)
    except NotFoundError:
        known = cache.signal(key)
        if known is not None:
            cache.signals.forget(key, key.name, known.metadata.uid)
        return None
    cache.signals.apply(_decode(body))
    return body


def _now(requests: Requests) -> str:
    return _rfc3339(requests.clock())


def _rfc3339(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
