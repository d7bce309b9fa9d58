"""Which of the signals that a run waits for the caller may send, and why not, as the operator would judge them.

The operator decides (`operator.signal_planner`); this shows its answer before a form is filled in. A signal is sent
with the caller's own token, so a mistake here can only show too much or too little.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from podrelay.api import names
from podrelay.gateway.access import Action, User
from podrelay.gateway.cache import Cache
from podrelay.gateway.call import Call
from podrelay.gateway.errors import LimitError
from podrelay.gateway.objects import Approval, Run, SignalType
from podrelay.gateway.permissions import MAX_NAMESPACES
from podrelay.kube.resources import Key

_CREATE: Final = Action("create", names.TASK_SIGNALS, "")
_LEVELS: Final = 11
"""A run has at most 10 levels of runs above it."""


@dataclass(frozen=True)
class Awaited:
    """A signal that a run waits for.

    Attributes:
        name: name of the signal.
        kind: what the definition says about it; None if it says nothing, or the caller may not read it.
        refusal: why the caller may not send it; None if they may.
    """

    name: str
    kind: SignalType | None
    refusal: str | None


@dataclass(frozen=True)
class Sender:
    """What is known about the caller in one namespace.

    Attributes:
        user: their name and groups.
        may_send: whether they may create TaskSignals.
        may_read: whether they may read TaskDefinitions.
    """

    user: User
    may_send: bool
    may_read: bool


async def sender(call: Call, namespace: str) -> Sender:
    """Return what is known about the caller in a namespace; "" means all namespaces.

    Raises:
        NotAuthenticatedError: the token is invalid.
        UnavailableError: the API server does not respond.
    """
    user = await call.services.access.identity(call.caller)
    return Sender(
        user,
        await _allows(call, "create", names.TASK_SIGNALS, namespace),
        await _allows(call, "get", names.TASK_DEFINITIONS, namespace),
    )


async def senders(call: Call) -> dict[str, Sender]:
    """Return what is known about the caller, for each namespace of the call that has runs.

    Raises:
        LimitError: there are too many namespaces to review each of them.
        GatewayError: the token is invalid, or the API server does not respond.
    """
    if call.scope.namespace is not None:
        return {call.scope.namespace: await sender(call, call.scope.namespace)}
    known = sorted(call.services.tallies.namespaces())
    everywhere = await sender(call, "")
    if everywhere.may_send and everywhere.may_read:
        return dict.fromkeys(known, everywhere)
    if len(known) > MAX_NAMESPACES:
        raise LimitError(
            f"There are {len(known)} namespaces, but only {MAX_NAMESPACES} can be checked for you: name yours."
        )
    found = await asyncio.gather(*(sender(call, namespace) for namespace in known))
    return dict(zip(known, found, strict=True))


def signals_of(cache: Cache, run: Run, caller: Sender) -> Iterator[Awaited]:
    """Yield the signals that a run waits for now, each with why the caller may not send it."""
    if run.status.waiting_for is None:
        return
    definition = cache.definitions.get(Key(run.metadata.namespace, run.spec.definition)) if caller.may_read else None
    known = definition.spec.signals if definition is not None else None
    for name in run.status.waiting_for.signals:
        kind = next((one for one in known or () if one.name == name), None)
        if known is not None and kind is None:
            refusal: str | None = f"The definition of this task does not list the signal {name}, so it is rejected."
        else:
            refusal = _refusal(cache, run, name, kind.approval if kind else None, caller)
        yield Awaited(name, kind, refusal)


def may_answer(cache: Cache, callers: Mapping[str, Sender], run: Run) -> bool:
    """Return whether the caller may send one of the signals that a run waits for."""
    caller = callers.get(run.metadata.namespace)
    return caller is not None and any(one.refusal is None for one in signals_of(cache, run, caller))


def _refusal(cache: Cache, run: Run, name: str, approval: Approval | None, caller: Sender) -> str | None:
    if not caller.may_send:
        return f"You may not send signals here: it needs the right to {_CREATE.words}."
    if approval is None:
        return None
    if approval.groups is not None and not set(approval.groups) & set(caller.user.groups):
        return f"Only members of {' or '.join(approval.groups) or 'no group'} may decide."
    if approval.exclude_creator:
        creator = _creator(cache, run)
        if creator is None:
            return "The creator of this task may not decide, and it is not known who that is."
        if creator == caller.user.username:
            return "You have created this task, so another user must decide."
    decisions = (one for one in run.status.approvals if one.signal == name and one.iteration == run.status.iterations)
    if any(one.by == caller.user.username for one in decisions):
        return "You have decided already."
    return None


def _creator(cache: Cache, run: Run) -> str | None:
    """Return who has created a run, or, if a task did, the run that it descends from; None if unknown."""
    current: Run | None = run
    for _ in range(_LEVELS):
        if current is None:
            return None
        if current.metadata.annotations.created_by:
            return current.metadata.annotations.created_by
        parent = current.spec.parent
        current = cache.runs.get(Key(current.metadata.namespace, parent)) if parent else None
    return None


async def _allows(call: Call, verb: str, resource: str, namespace: str) -> bool:
    await call.services.turns.give()
    return await call.services.access.allows(call.caller, Action(verb, resource, namespace))
