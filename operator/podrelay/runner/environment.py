"""What the operator told this pod, read once from its environment."""

from collections.abc import Mapping
from typing import NamedTuple

from podrelay.api import names, protocol
from podrelay.api.errors import PodrelayError


class NotInAPodError(PodrelayError):
    """A variable is missing: this is no pod that the operator has made."""

    reason = "NotInAPod"


class UnsupportedOperatorError(PodrelayError):
    """The operator is of a version that this runner does not work with."""

    reason = protocol.UNSUPPORTED_RUNNER


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
    """That of the run before it was restored from a backup; its own, where it was not."""
    secret_path: str = ""
    """Folder with the keys of the run's Secret, empty where it names none."""
    hooks: tuple[str, ...] = ()
    """Those that this pod calls if it comes to that, by their names in the resource."""
    only_hooks: tuple[str, ...] = ()
    """Those that this pod is there for; then it calls nothing else."""
    operator_protocol: int = 1
    """The version of the protocol that the operator speaks."""


def read(variables: Mapping[str, str]) -> Environment:
    """Return what `variables` say.

    Raises:
        NotInAPodError: this is no pod that an operator has made.
        UnsupportedOperatorError: one is missing or no number, or the operator is too old.
    """
    _check_version(variables)
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
            grace_period=float(variables[names.ENV_GRACE_PERIOD]),
            heartbeat_timeout=float(variables.get(names.ENV_HEARTBEAT_TIMEOUT) or 0) or None,
            state=variables.get(names.ENV_STATE, ""),
            checkpoint=variables.get(names.ENV_CHECKPOINT, ""),
            is_final_attempt=variables.get(names.ENV_FINAL_ATTEMPT) == "true",
            record_logs=variables.get(names.ENV_RECORD_LOGS, "true") == "true",
            origin_uid=variables.get(names.ENV_ORIGIN_UID) or variables[names.ENV_RUN_UID],
            secret_path=variables.get(names.ENV_SECRET_PATH, ""),
            hooks=_names(variables.get(names.ENV_HOOKS, "")),
            only_hooks=_names(variables.get(names.ENV_HOOK, "")),
            operator_protocol=_version(variables),
        )
    except (KeyError, ValueError) as error:
        if names.ENV_RUN_UID in variables or names.ENV_POD_UID in variables:
            raise UnsupportedOperatorError(
                protocol.unsupported_operator(_version(variables), f"it lacks the variable {error}")
            ) from error
        raise NotInAPodError(
            f"this is no pod of a TaskRun (variable {error}); to run a task by hand, apply a TaskRun for it"
        ) from error


def _check_version(variables: Mapping[str, str]) -> None:
    version = _version(variables)
    if version < protocol.OLDEST_OPERATOR:
        raise UnsupportedOperatorError(
            protocol.unsupported_operator(version, f"it needs {protocol.OLDEST_OPERATOR} at least")
        )


def _version(variables: Mapping[str, str]) -> int:
    """Return the operator's version; an operator that tells none is of the first."""
    told = variables.get(names.ENV_PROTOCOL, "")
    return int(told) if told.isascii() and told.isdigit() else 1


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))
