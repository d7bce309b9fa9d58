"""What a caller may do in a namespace, and in which namespaces they may list tasks: the API server's own answers.

Each answer is a SelfSubjectAccessReview with the caller's token, kept for seconds like all of them (`access`). A policy
may still refuse what RBAC allows.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Final

from podrelay.api import names
from podrelay.api.settings import CONFIG_MAP
from podrelay.gateway.access import Action
from podrelay.gateway.call import Call
from podrelay.gateway.errors import LimitError
from podrelay.kube.resources import CONFIG_MAPS, EVENTS, PODS

MAX_NAMESPACES: Final = 200
"""Namespaces that are reviewed for one caller; each costs a request to the API server."""


class Permission(Enum):
    """What a caller may do, with the verb, resource and subresource that it needs."""

    LIST_TASKS = ("list", names.TASK_RUNS, "", names.GROUP)
    GET_TASKS = ("get", names.TASK_RUNS, "", names.GROUP)
    WATCH_TASKS = ("watch", names.TASK_RUNS, "", names.GROUP)
    CREATE_TASKS = ("create", names.TASK_RUNS, "", names.GROUP)
    TRIGGER_TASKS = ("trigger", names.TASK_RUNS, "", names.GROUP)
    PATCH_TASKS = ("patch", names.TASK_RUNS, "", names.GROUP)
    DELETE_TASKS = ("delete", names.TASK_RUNS, "", names.GROUP)
    LIST_DEFINITIONS = ("list", names.TASK_DEFINITIONS, "", names.GROUP)
    RUN_DEFINITIONS = ("run", names.TASK_DEFINITIONS, "", names.GROUP)
    LIST_SCHEDULES = ("list", names.TASK_SCHEDULES, "", names.GROUP)
    GET_SCHEDULES = ("get", names.TASK_SCHEDULES, "", names.GROUP)
    WATCH_SCHEDULES = ("watch", names.TASK_SCHEDULES, "", names.GROUP)
    PATCH_SCHEDULES = ("patch", names.TASK_SCHEDULES, "", names.GROUP)
    DELETE_SCHEDULES = ("delete", names.TASK_SCHEDULES, "", names.GROUP)
    LIST_SIGNALS = ("list", names.TASK_SIGNALS, "", names.GROUP)
    CREATE_SIGNALS = ("create", names.TASK_SIGNALS, "", names.GROUP)
    LIST_LOGS = ("list", names.TASK_ITERATIONS, "", names.GROUP)
    WATCH_LOGS = ("watch", names.TASK_ITERATIONS, "", names.GROUP)
    GET_PODS = ("get", PODS.plural, "", "")
    GET_POD_LOGS = ("get", PODS.plural, "log", "")
    LIST_EVENTS = ("list", EVENTS.plural, "", "")
    GET_SETTINGS = ("get", CONFIG_MAPS.plural, "", "")
    PATCH_SETTINGS = ("patch", CONFIG_MAPS.plural, "", "")

    def action(self, namespace: str | None) -> Action:
        """Return what the API server is asked; None as namespace means all namespaces."""
        verb, resource, subresource, group = self.value
        name = CONFIG_MAP if resource == CONFIG_MAPS.plural else ""
        return Action(verb, resource, namespace or "", name, group, subresource)


@dataclass(frozen=True)
class Granted:
    """Whether a caller may do something.

    Attributes:
        permission: what.
        allowed: whether they may.
        needs: verb and resource, as `kubectl auth can-i` takes them.
    """

    permission: Permission
    allowed: bool
    needs: str


async def permissions(call: Call, namespace: str | None) -> list[Granted]:
    """Return what the caller may do in a namespace, or in all namespaces.

    Raises:
        GatewayError: the token is invalid, the API server does not respond, or a limit is exceeded.
    """
    allowed = await asyncio.gather(*(_allows(call, one.action(namespace)) for one in Permission))
    return [
        Granted(one, is_allowed, one.action(namespace).words)
        for one, is_allowed in zip(Permission, allowed, strict=True)
    ]


async def namespaces(call: Call) -> list[str]:
    """Return the namespaces with definitions or tasks in which the caller may list tasks, sorted.

    Raises:
        LimitError: there are too many to review each of them.
        GatewayError: the token is invalid, or the API server does not respond.
    """
    with_definitions = {definition.metadata.namespace for definition in call.cache.definitions.all(None)}
    known = sorted(with_definitions.union(call.services.tallies.namespaces()))
    if await _allows(call, Permission.LIST_TASKS.action(None)):
        return known
    if len(known) > MAX_NAMESPACES:
        raise LimitError(
            f"There are {len(known)} namespaces, but only {MAX_NAMESPACES} can be checked for you: name yours."
        )
    allowed = await asyncio.gather(*(_allows(call, Permission.LIST_TASKS.action(one)) for one in known))
    return [namespace for namespace, is_allowed in zip(known, allowed, strict=True) if is_allowed]


async def _allows(call: Call, action: Action) -> bool:
    call.budget.take_fetch()
    await call.services.turns.give()
    async with call.budget.fetching:
        return await call.services.access.allows(call.caller, action)
