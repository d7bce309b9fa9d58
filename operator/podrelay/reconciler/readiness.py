"""Tells on each TaskDefinition whether runs of it can start (condition Ready): in the API server's words of a pod."""

import logging
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Final

import msgspec

from podrelay.api import limits, names
from podrelay.kube.client import PODS, Client
from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.reconciler import admission, pods
from podrelay.reconciler.objects import Condition, RunMetadata, TaskDefinition, TaskRun, TaskRunSpec
from podrelay.reconciler.permissions import Permission
from podrelay.reconciler.resources import TASK_DEFINITIONS
from podrelay.reconciler.schemaprocess import SchemaProcess
from podrelay.reconciler.view import Target

log = logging.getLogger(__name__)

PERMISSIONS: Final = (
    Permission(names.GROUP, (f"{names.TASK_DEFINITIONS}/status",), ("patch",)),
    Permission("", ("pods",), ("create",)),
)


def about(definition: TaskDefinition) -> Hashable:
    """Return what a review is about. The numbers of runs in the status are not: they change every few seconds."""
    return definition.metadata.uid, definition.metadata.generation, definition.status.conditions


async def review(
    client: Client,
    definition: TaskDefinition,
    schemas: SchemaProcess,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Write the condition Ready of `definition`, if it has changed.

    Returns:
        False if the verdict may change although the definition does not: an account that is missing may come.

    Raises:
        ApiError, aiohttp.ClientError, TimeoutError, SchemaProcessError: it could not be found out; try again later.
    """
    status, reason, message = await _verdict(client, definition, schemas)
    before = next((c for c in definition.status.conditions if c.type == "Ready"), None)
    generation = definition.metadata.generation
    if before is not None and (before.status, before.reason, before.message) == (status, reason, message):
        if definition.status.observed_generation == generation:
            return reason != _REJECTED
        changed_at = before.last_transition_time
    else:
        changed_at = clock().replace(microsecond=0)
    condition = Condition("Ready", status, reason, changed_at, message, generation)
    conditions = [msgspec.to_builtins(item) for item in (condition, _stalled(condition))]
    patch = {"status": {"observedGeneration": generation, "conditions": conditions}}
    try:
        await client.patch(
            TASK_DEFINITIONS, definition.metadata.namespace, definition.metadata.name, patch, subresource="status"
        )
    except NotFoundError:
        return True
    log.info(
        "definition reviewed",
        extra={
            "definition": f"{definition.metadata.namespace}/{definition.metadata.name}",
            "ready": status,
            "reason": reason,
        },
    )
    return reason != _REJECTED


def _stalled(ready: Condition) -> Condition:
    """Return what kstatus needs to tell a definition that is wrong from one that is not ready yet."""
    is_wrong = ready.reason in {pods.TemplateError.reason, admission.INVALID_INPUT_SCHEMA}
    return msgspec.structs.replace(
        ready, type="Stalled", status="True" if is_wrong else "False", message=ready.message if is_wrong else ""
    )


async def _verdict(client: Client, definition: TaskDefinition, schemas: SchemaProcess) -> tuple[str, str, str]:
    schema = definition.spec.input_schema
    problem = (await schemas.check(schema)).problem if schema is not None else None
    if problem is not None:
        return "False", admission.INVALID_INPUT_SCHEMA, limits.cut(problem, limits.MESSAGE_LENGTH)
    try:
        manifest = pods.build(_example_run(definition), definition, _EXAMPLE_TARGET)
        # The owner of the example does not exist, and its name must not be taken.
        del manifest["metadata"]["ownerReferences"], manifest["metadata"]["name"]
        manifest["metadata"]["generateName"] = "podrelay-dry-run-"
        await client.create(PODS, definition.metadata.namespace, manifest, dry_run=True, strict=True)
    except pods.TemplateError as error:
        return "False", error.reason, limits.cut(str(error), limits.MESSAGE_LENGTH)
    except ApiError as error:
        if error.is_transient:
            raise
        if error.is_quota:
            # Quota is looked at last, and says nothing of the template: it is shown on the runs that wait for it.
            return _ACCEPTED
        return "False", _REJECTED, limits.cut(error.message, limits.MESSAGE_LENGTH)
    return _ACCEPTED


_REJECTED: Final = "PodRejected"
_ACCEPTED: Final = ("True", "PodAccepted", "a pod made from the template passes the API server's checks")
_EXAMPLE_TARGET: Final = Target(1, 1, "example-i1", None, None, is_final_attempt=True)


def _example_run(definition: TaskDefinition) -> TaskRun:
    own = definition.metadata
    uid = "00000000-0000-0000-0000-000000000000"
    metadata = RunMetadata("example", own.namespace, uid, "0", own.creation_timestamp)
    return TaskRun(metadata, TaskRunSpec(own.name))
