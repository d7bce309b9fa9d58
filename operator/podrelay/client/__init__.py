"""The task service in code: `from podrelay import TaskService, AsyncTaskService` (extra `client`).

What it returns and raises can be imported from here, without the `kubernetes` package.
"""

from podrelay.api.wanted_run import TriggerConflictError
from podrelay.client.errors import (
    ApiUnavailableError,
    ConfigurationError,
    DefinitionNotFoundError,
    ForbiddenError,
    InvalidInputError,
    RequestRefusedError,
    ScheduleNotFoundError,
    ServiceError,
    SignalConflictError,
    TaskFinishedError,
    TaskNotFoundError,
    TaskStartedError,
    WaitTimeoutError,
)
from podrelay.client.results import Definition, LogLine, Progress, Run, RunEvent, Signal

__all__ = [
    "ApiUnavailableError",
    "ConfigurationError",
    "Definition",
    "DefinitionNotFoundError",
    "ForbiddenError",
    "InvalidInputError",
    "LogLine",
    "Progress",
    "RequestRefusedError",
    "Run",
    "RunEvent",
    "ScheduleNotFoundError",
    "ServiceError",
    "Signal",
    "SignalConflictError",
    "TaskFinishedError",
    "TaskNotFoundError",
    "TaskStartedError",
    "TriggerConflictError",
    "WaitTimeoutError",
]
