"""Reads the environment variables that the operator has set in this pod."""

from collections.abc import Mapping
from typing import NamedTuple

from podrelay.api import names, protocol
from podrelay.api.errors import PodrelayError


class NotInAPodError(PodrelayError):
    """A variable is missing: this is not a pod that the operator created."""

    reason = "NotInAPod"


class UnsupportedOperatorError(PodrelayError):
    """This runner does not work with the version of the operator."""

    reason = protocol.UNSUPPORTED_RUNNER

    def __init__(self, version: int, problem: str) -> None:
        super().__init__(protocol.unsupported_operator(version, problem))


class Environment(NamedTuple):
    """The variables of api.names, typed. Durations are in seconds."""

    namespace: str
    run: str
    run_uid: str
    definition: str
    iteration: int
    attempt: int
    max_iterations: int
    pod_name: str
    pod_uid: str
    node_name: str
    image: str
    iteration_timeout: float
    grace_period: float
    heartbeat_timeout: float | None
    state: str
    checkpoint: str
    is_final_attempt: bool
    record_logs: bool
    origin_uid: str = ""
    """UID of the run before it was restored from a backup; if it was not restored, its own UID."""
    secret_path: str = ""
    """Directory with the keys of the run's Secret; empty if it names none."""
    hooks: tuple[str, ...] = ()
    """Hooks that this pod calls if they are due, by their names in the resource."""
    only_hooks: tuple[str, ...] = ()
    """Hooks of a pod that only calls hooks; empty for all other pods."""
    after: str = ""
    """The pod that must end before this one runs the task; empty unless this pod was created ahead."""
    is_standby: bool = False
    """Whether this pod imports the task while it waits."""
    signals: tuple[str, ...] = ()
    """Names of the TaskSignals that this iteration is given."""
    woken_by: str = ""
    """What ended the wait for signals before this iteration; empty without a wait."""
    operator_protocol: int = 1
    """The protocol version of the operator."""


def read(variables: Mapping[str, str]) -> Environment:
    """Parse environment variables.

    Raises:
        NotInAPodError: this is not a pod that an operator created.
        UnsupportedOperatorError: a variable is missing or not a number, or the operator is too old.
    """
    version = _version(variables)
    if version < protocol.OLDEST_OPERATOR:
        raise UnsupportedOperatorError(version, f"it needs {protocol.OLDEST_OPERATOR} at least")
    after = variables.get(names.ENV_AFTER, "")
    try:
        return Environment(
            namespace=variables[names.ENV_NAMESPACE],
            run=variables[names.ENV_RUN],
            run_uid=variables[names.ENV_RUN_UID],
            definition=variables[names.ENV_DEFINITION],
            iteration=int(variables[names.ENV_ITERATION]),
            attempt=int(variables[names.ENV_TRY]),
            max_iterations=int(variables[names.ENV_MAX_ITERATIONS]),
            pod_name=variables[names.ENV_POD_NAME],
            pod_uid=variables[names.ENV_POD_UID],
            node_name=variables.get(names.ENV_NODE_NAME, ""),
            image=variables.get(names.ENV_IMAGE, ""),
            iteration_timeout=float(variables[names.ENV_ITERATION_TIMEOUT]),
            grace_period=float(variables[names.ENV_AHEAD_GRACE_PERIOD if after else names.ENV_GRACE_PERIOD]),
            heartbeat_timeout=float(variables.get(names.ENV_HEARTBEAT_TIMEOUT) or 0) or None,
            state=variables.get(names.ENV_STATE, ""),
            checkpoint=variables.get(names.ENV_CHECKPOINT, ""),
            is_final_attempt=variables.get(names.ENV_FINAL_ATTEMPT) == "true",
            record_logs=variables.get(names.ENV_RECORD_LOGS, "true") == "true",
            origin_uid=variables.get(names.ENV_ORIGIN_UID) or variables[names.ENV_RUN_UID],
            secret_path=variables.get(names.ENV_SECRET_PATH, ""),
            hooks=_names(variables.get(names.ENV_HOOKS, "")),
            only_hooks=_names(variables.get(names.ENV_HOOK, "")),
            after=after,
            is_standby=variables.get(names.ENV_STANDBY) == "true",
            signals=_names(variables.get(names.ENV_SIGNALS, "")),
            woken_by=variables.get(names.ENV_WOKEN_BY, ""),
            operator_protocol=version,
        )
    except (KeyError, ValueError) as error:
        if names.ENV_RUN_UID in variables or names.ENV_POD_UID in variables:
            raise UnsupportedOperatorError(version, f"it lacks the variable {error}") from error
        raise NotInAPodError(
            f"this is not a pod of a TaskRun (variable {error}); to run a task manually, create a TaskRun for it"
        ) from error


def _version(variables: Mapping[str, str]) -> int:
    """Return the operator's protocol version; 1 for an operator that does not state it."""
    version = variables.get(names.ENV_PROTOCOL, "")
    return int(version) if version.isascii() and version.isdigit() else 1


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
