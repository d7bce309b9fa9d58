"""The types of the caller: who they are, what they may do, and where."""

import strawberry

from podrelay.gateway import permissions
from podrelay.gateway.call import Scope
from podrelay.gateway.payloads import Payloads
from podrelay.gateway.schema.describing import described
from podrelay.gateway.schema.envelope import Error
from podrelay.gateway.schema.types import Identity

strawberry.enum(
    permissions.Permission,
    name="WebinyBackgroundTaskPermissionName",
    description="What a caller may do. To start a task: CREATE_TASKS, TRIGGER_TASKS and RUN_DEFINITIONS; to abort, "
    "suspend or resume one: PATCH_TASKS. To suspend, resume or backfill a schedule: PATCH_SCHEDULES, TRIGGER_TASKS and "
    "RUN_DEFINITIONS; to start a task of one: GET_SCHEDULES and the rights to start a task. To send a signal: "
    "GET_TASKS and CREATE_SIGNALS.",
)


@strawberry.type(name="WebinyBackgroundTaskPermission", description="Whether the caller may do something.")
class Permission:
    """One right."""

    name: permissions.Permission
    allowed: bool
    needs: str = strawberry.field(description="Verb and resource, as `kubectl auth can-i` takes them.")


@strawberry.type(name="WebinyBackgroundTaskCaller", description="The user who sends the request.")
class CallerInfo:
    """The caller."""

    payloads: strawberry.Private[Payloads]
    identity: Identity
    namespace: str = strawberry.field(description="The namespace of the request; * means all.")

    @described
    async def permissions(self, namespace: str | None = None) -> list[Permission] | None:
        """What the caller may do in a namespace, * for all, or by default that of the request.

        An admission policy may still refuse what is allowed here, such as a task of a definition that the caller may
        not run.
        """
        call = self.payloads.call
        scope = call.scope if namespace is None else Scope.parse(namespace)
        found = await permissions.permissions(call, scope.namespace)
        return [Permission(name=one.permission, allowed=one.allowed, needs=one.needs) for one in found]

    @described
    async def namespaces(self) -> list[str] | None:
        """The namespaces with definitions or tasks in which the caller may list tasks; at most 200 are checked."""
        return await permissions.namespaces(self.payloads.call)


@strawberry.type(name="WebinyBackgroundTaskCallerResponse")
class CallerResponse:
    """The caller."""

    data: CallerInfo | None = None
    error: Error | None = None
