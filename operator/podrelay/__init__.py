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

_MODULES = {
    "podrelay.api.errors": ("PodrelayError",),
    "podrelay.api.limits": ("PayloadError",),
    "podrelay.api.wanted_run": ("TriggerConflictError",),
    "podrelay.client.aio": ("AsyncTaskService",),
    "podrelay.client.service": ("TaskService",),
    "podrelay.sdk.answers": ("Aborted", "Answer", "Continue", "Done", "Failed"),
    "podrelay.sdk.controller": ("Controller",),
    "podrelay.sdk.definition": ("TaskDefinition",),
    "podrelay.sdk.errors": ("ApiRefusedError", "ApiUnreachableError", "DefinitionError", "InputError"),
    "podrelay.sdk.retry_exceptions": ("Fatal", "Retry"),
    "podrelay.sdk.task": ("TaskRun", "TriggerData"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'podrelay' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - the reason for this function

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
