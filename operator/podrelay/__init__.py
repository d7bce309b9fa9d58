"""Podrelay: long background work on Kubernetes as a relay of pods.

Task authors import from this package: `from podrelay import Controller, TaskDefinition`. So do programs that start
tasks: `from podrelay import TaskService` (extra `client`). Names are loaded on first use, so that a task's pod imports
only what its task needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podrelay.api.errors import PodrelayError
    from podrelay.api.limits import PayloadError
    from podrelay.api.wanted_run import TriggerConflictError
    from podrelay.client.aio import AsyncTaskService
    from podrelay.client.service import TaskService
    from podrelay.sdk.answers import Aborted, Answer, Continue, Done, Failed
    from podrelay.sdk.controller import Controller
    from podrelay.sdk.definition import TaskDefinition
    from podrelay.sdk.errors import ApiRefusedError, ApiUnreachableError, DefinitionError, InputError
    from podrelay.sdk.retry_exceptions import Fatal, Retry
    from podrelay.sdk.task import TaskRun, TriggerData

__all__ = [
    "Aborted",
    "Answer",
    "ApiRefusedError",
    "ApiUnreachableError",
    "AsyncTaskService",
    "Continue",
    "Controller",
    "DefinitionError",
    "Done",
    "Failed",
    "Fatal",
    "InputError",
    "PayloadError",
    "PodrelayError",
    "Retry",
    "TaskDefinition",
    "TaskRun",
    "TaskService",
    "TriggerConflictError",
    "TriggerData",
]

_HOMES = {
    "Aborted": "podrelay.sdk.answers",
    "Answer": "podrelay.sdk.answers",
    "ApiRefusedError": "podrelay.sdk.errors",
    "ApiUnreachableError": "podrelay.sdk.errors",
    "AsyncTaskService": "podrelay.client.aio",
    "Continue": "podrelay.sdk.answers",
    "Controller": "podrelay.sdk.controller",
    "DefinitionError": "podrelay.sdk.errors",
    "Done": "podrelay.sdk.answers",
    "Failed": "podrelay.sdk.answers",
    "Fatal": "podrelay.sdk.retry_exceptions",
    "InputError": "podrelay.sdk.errors",
    "PayloadError": "podrelay.api.limits",
    "PodrelayError": "podrelay.api.errors",
    "Retry": "podrelay.sdk.retry_exceptions",
    "TaskDefinition": "podrelay.sdk.definition",
    "TaskRun": "podrelay.sdk.task",
    "TaskService": "podrelay.client.service",
    "TriggerConflictError": "podrelay.api.wanted_run",
    "TriggerData": "podrelay.sdk.task",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'podrelay' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the reason for this function

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
