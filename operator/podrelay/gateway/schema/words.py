"""Enums in addition to Webiny's strings: the phase of a task, and the reasons that docs/troubleshooting.md explains."""

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import strawberry

REASONS: Final = (
    # of runs that have not finished
    *(
        "NotSeen",
        "IterationRunning",
        "Delayed",
        "Waiting",
        "WaitingForChildren",
        "WaitingForSignal",
        "Retrying",
        "Disrupted",
    ),
    *("Suspended", "DefinitionSuspended", "ParentDeleted", "SecretMissing", "Restored", "Importing", "Imported"),
    *("Deleting", "Aborting", "PodEnding", "PodTerminating"),
    # of runs that have not finished, and whose pod cannot be created or started
    *("DefinitionNotFound", "OverridesNotAllowed", "Queued", "InvalidInputSchema", "NameTaken"),
    *("PodUncertain",),
    *("InvalidTemplate", "InputTooLarge"),
    *("PodInvalid", "PodForbidden", "ForeignRecord", "RecordRefused", "QuotaExceeded", "InternalError"),
    *("AdmissionTimeout", "TooManyRequests", "ServiceUnavailable", "NamespaceNotFound", "Unschedulable"),
    *("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"),
    *("CreateContainerConfigError", "CreateContainerError", "NodeLost", "Unknown"),
    # of finished runs
    *("Done", "InvalidInput", "Deleted", "TooManyChildren", "TooManyAncestors", "AbortedByTask", "Aborted"),
    *("TaskFailed", "Rejected", "MaxIterations", "IterationTimeout", "HeartbeatTimeout", "OOMKilled", "Killed"),
    *("ExitCode", "UnsupportedRunner", "ContainerCannotRun", "StartError", "Evicted", "PodFailed", "PendingTimeout"),
    *("ParentNotFound", "ParentAborted", "NotAllowed"),
    # codes of status.error
    *("TaskImportError", "DefinitionError", "VALIDATION_FAILED_INVALID_FIELDS", "InvalidAnswer", "AnswerCut"),
    *("PayloadRefused", "AnswerRefused", "ApiRefused", "TriggerConflict", "InvalidRun", "ApiUnreachable"),
    *("StateLost", "SystemExit"),
    # of definitions, and of pods whose log says why they did not run
    *("PodAccepted", "PodRejected", "Superseded", "NotInAPod"),
    # of signals
    *("RunNotFound", "RunFinished", "UnknownSignal", "InvalidPayload", "DecisionMissing", "NotAnApproval"),
    *("SenderNotAllowed", "AlreadyDecided"),
    # of schedules
    *("Scheduling", "NoMoreTimes", "InvalidSchedule", "RunRefused"),
)
"""In the sections of the page; a test compares them with it."""
OTHER: Final = "Other"


@strawberry.enum(name="WebinyBackgroundTaskPhase", description="The phase of a task, as kubectl shows it.")
class Phase(Enum):
    """`taskStatus` in the terms of Kubernetes."""

    Pending = "Pending"
    Running = "Running"
    Succeeded = "Succeeded"
    Failed = "Failed"
    Aborted = "Aborted"


if TYPE_CHECKING:
    Reason: TypeAlias = Any
else:
    # The functional form of Enum, because the members come from a list.
    Reason = strawberry.enum(
        cast("Any", Enum)("WebinyBackgroundTaskReason", {name: name for name in (*REASONS, OTHER)}),
        description="Why a task is in its phase; Other is a reason of the task, the cluster or the container runtime.",
    )


def reason_of(word: str | None) -> Reason | None:
    """Return the reason in a status, without the number at the end of some reasons."""
    if word is None:
        return None
    bare = word.rstrip("0123456789")
    return Reason(bare if bare in REASONS else OTHER)
