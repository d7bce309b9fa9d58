"""Sets the condition Ready of each TaskDefinition: whether the API server would accept a pod made from its template."""

import asyncio
import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from podrelay.api import limits, names
from podrelay.kube.client import Client
from podrelay.kube.errors import AlreadyExistsError, ApiError, NotFoundError
from podrelay.kube.resources import PODS, TASK_DEFINITIONS, Key
from podrelay.operator import object_rules
from podrelay.operator.cache.store import Store
from podrelay.operator.controllers.controller import Controller
from podrelay.operator.controllers.workqueue import WorkQueue
from podrelay.operator.executor import pod_builder
from podrelay.operator.metrics import DEFINITION_WRITES
from podrelay.operator.objects.definitions import TaskDefinition
from podrelay.operator.objects.metadata import Condition
from podrelay.operator.objects.run_metadata import RunMetadata
from podrelay.operator.objects.runs import TaskRun, TaskRunSpec
from podrelay.operator.plan import Target
from podrelay.operator.rbac import Permission
from podrelay.schemas.process import SchemaProcess

log = logging.getLogger(__name__)

PERMISSIONS: Final = (
    Permission(names.GROUP, (f"{names.TASK_DEFINITIONS}/status",), ("patch",)),
    Permission("", ("pods",), ("create",)),
)
_REVIEWERS: Final = 4
_PAUSES: Final = (1.0, 300.0)
"""Shortest and longest pause between two reviews of a definition; doubled with each review of one generation."""
_SPACING_SECONDS: Final = 0.2
"""Pause of each reviewer after a write, so that all make at most 20 a second, even if many definitions change."""

_decode = msgspec.json.Decoder(TaskDefinition).decode


class DefinitionReadyController:
    """Reviews each definition that has changed, and updates its condition Ready.

    A generation of a definition is reviewed again only if the result may change by itself, or another client has
    changed the conditions, after a pause that grows each time. Events of the definition do not shorten the pause,
    because the write of a review causes an event, too, and the message of a refusal may differ each time.

    Args:
        client: the API server.
        store: knows the definitions, and is updated after each write.
        schemas: checks that input schemas are valid.
        queue: the definitions to review.
        clock: returns the current time, aware, UTC.
    """

    def __init__(
        self,
        client: Client,
        store: Store,
        schemas: SchemaProcess,
        queue: WorkQueue[Key],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._store = store
        self._schemas = schemas
        self._queue = queue
        self._clock = clock
        self._reviews: dict[Key, _Review] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await Controller(
            self._queue, self._reconcile, failed="definition not reviewed", kind="definition", workers=_REVIEWERS
        ).run()

    def review_rejected(self, namespace: str | None) -> None:
        """Review rejected definitions again at once, as what their pods need may exist now; None: in all namespaces."""
        for key, review in self._reviews.items():
            if namespace in {None, key.namespace} and review.settled_with is None:
                review.pause = 0.0
                self._queue.add(key)

    async def _reconcile(self, key: Key) -> None:
        definition = self._store.definition(*key)
        if definition is None:
            self._reviews.pop(key, None)
            return
        last, now = self._reviews.get(key), asyncio.get_running_loop().time()
        is_same = last is not None and last.generation == _generation(definition)
        if last is not None and is_same and last.settled_with == definition.status.conditions:
            return
        if last is not None and now < (due := last.at + (last.pause if is_same else _PAUSES[0])):
            self._queue.add_after(key, due - now)
            return
        pause = min(max(2 * last.pause, _PAUSES[0]), _PAUSES[1]) if last is not None and is_same else _PAUSES[0]
        self._reviews[key] = review = _Review(_generation(definition), now, pause)
        verdict = await _verdict(self._client, definition, self._schemas)
        conditions = await self._write(definition, *verdict)
        if verdict[1] == _REJECTED:
            # A missing ServiceAccount may be created.
            self._queue.add_after(key, now + pause - asyncio.get_running_loop().time())
        else:
            review.settled_with = conditions

    async def _write(
        self, definition: TaskDefinition, status: str, reason: str, message: str
    ) -> tuple[Condition, ...] | None:
        """Write the condition if it has changed; return the current conditions."""
        before = next((c for c in definition.status.conditions if c.type == "Ready"), None)
        generation = definition.metadata.generation
        if before is not None and (before.status, before.reason, before.message) == (status, reason, message):
            if definition.status.observed_generation == generation:
                return definition.status.conditions
            changed_at = before.last_transition_time
        else:
            changed_at = self._clock().replace(microsecond=0)
        condition = Condition("Ready", status, reason, changed_at, message, generation)
        conditions = [msgspec.to_builtins(item) for item in (condition, _stalled(condition))]
        patch = {"status": {"observedGeneration": generation, "conditions": conditions}}
        namespace, name = definition.metadata.namespace, definition.metadata.name
        try:
            body = await self._client.patch(TASK_DEFINITIONS, namespace, name, patch, subresource="status")
        except NotFoundError:
            return None
        log.info("definition reviewed", extra={"definition": f"{namespace}/{name}", "ready": status, "reason": reason})
        DEFINITION_WRITES.labels("ready").inc()
        written = _decode(body)
        self._store.definitions.apply(written)
        await asyncio.sleep(_SPACING_SECONDS)
        return written.status.conditions


@dataclass
class _Review:
    """The last review of a definition."""

    generation: Hashable
    at: float
    pause: float
    """Seconds until the next review of the same generation."""
    settled_with: tuple[Condition, ...] | None = None
    """The conditions that stay valid until the definition changes; None: the result may change by itself."""


def _generation(definition: TaskDefinition) -> Hashable:
    return definition.metadata.uid, definition.metadata.generation


def _stalled(ready: Condition) -> Condition:
    """Return the condition by which kstatus distinguishes an invalid definition from one that is not ready yet."""
    is_wrong = ready.reason in {pod_builder.TemplateError.reason, object_rules.INVALID_INPUT_SCHEMA}
    return msgspec.structs.replace(
        ready, type="Stalled", status="True" if is_wrong else "False", message=ready.message if is_wrong else ""
    )


async def _verdict(client: Client, definition: TaskDefinition, schemas: SchemaProcess) -> tuple[str, str, str]:
    problem = await _schema_problem(definition, schemas)
    if problem is not None:
        return "False", object_rules.INVALID_INPUT_SCHEMA, limits.cut(problem, limits.MESSAGE_LENGTH)
    try:
        manifest = pod_builder.build(_example_run(definition), definition, _EXAMPLE_TARGET)
        del manifest["metadata"]["ownerReferences"]  # the owner of the example does not exist
        # Use a stable name: refusals contain it, and a new message would cost another status write.
        manifest["metadata"]["name"] = f"podrelay-dry-run-{definition.metadata.name}"
        await client.create(PODS, definition.metadata.namespace, manifest, dry_run=True, strict=True)
    except AlreadyExistsError:
        return _ACCEPTED  # the API server checks the name last
    except pod_builder.TemplateError as error:
        return "False", error.reason, limits.cut(str(error), limits.MESSAGE_LENGTH)
    except ApiError as error:
        if error.is_transient:
            raise
        if error.is_quota:
            # Quota is checked last, and does not concern the template; the runs that wait for it show it.
            return _ACCEPTED
        return "False", _REJECTED, limits.cut(error.message, limits.MESSAGE_LENGTH)
    return _ACCEPTED


async def _schema_problem(definition: TaskDefinition, schemas: SchemaProcess) -> str | None:
    """Return why a schema of the definition is not a valid JSON Schema; None if all are valid."""
    of_signals = {
        f"payloadSchema of the signal {signal.name}: ": signal.payload_schema
        for signal in definition.spec.signals or ()
    }
    for where, schema in {"": definition.spec.input_schema, **of_signals}.items():
        problem = (await schemas.check(schema)).problem if schema is not None else None
        if problem is not None:
            return f"{where}{problem}"
    return None


_REJECTED: Final = "PodRejected"
_ACCEPTED: Final = ("True", "PodAccepted", "a pod made from the template passes the API server's checks")
_EXAMPLE_TARGET: Final = Target(1, 1, "example-i1", None, None, is_final_attempt=True)


def _example_run(definition: TaskDefinition) -> TaskRun:
    own = definition.metadata
    uid = "00000000-0000-0000-0000-000000000000"
    metadata = RunMetadata("example", own.namespace, uid, "0", own.creation_timestamp)
    return TaskRun(metadata, TaskRunSpec(own.name))
