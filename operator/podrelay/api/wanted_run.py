"""A run that a client wants to start. The task service, the SDK, the gateway and the CLI check its arguments here.

Standard library only: the runner uses it, too.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final, NamedTuple

from podrelay.api import limits, names, numbers
from podrelay.api.errors import InvalidArgumentError, PodrelayError

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DISPLAY_NAME_LENGTH: Final = 256


class InvalidRunError(InvalidArgumentError):
    """An argument of a new run is invalid; nothing was created."""

    reason: ClassVar[str] = "InvalidRun"


class DelayTooLongError(InvalidRunError):
    """The delay is 355 days or longer."""


class TriggerConflictError(PodrelayError):
    """A run of this name exists, and was created from other arguments."""

    reason = "TriggerConflict"


class WantedRun(NamedTuple):
    """The arguments of a new run, checked. Make it with `wanted_run()`.

    Attributes:
        definition: name of the TaskDefinition, in kebab-case.
        input: a JSON object within the limits of payloads, or None.
        name: the display name, or None.
        delay_seconds: time from its creation to its start, or None.
        start_at: earliest start, in UTC, or None.
        key: idempotency key: the same key gives the same run. Or None.
        secret: name of the Secret that its pods get, or None.
        overrides: settings of the definition that are different for this run, as JSON, or None.
    """

    definition: str
    input: dict[str, Any] | None = None
    name: str | None = None
    delay_seconds: int | None = None
    start_at: datetime | None = None
    key: str | None = None
    secret: str | None = None
    overrides: dict[str, Any] | None = None

    def manifest(
        self,
        *,
        namespace: str | None = None,
        resource_name: str | None = None,
        parent: dict[str, Any] | None = None,
        created_by: str | None = None,
        rerun_of: str | None = None,
    ) -> dict[str, Any]:
        """Return the TaskRun to create.

        Args:
            namespace: set in the metadata if given.
            resource_name: default: made from the key, or at random without one.
            parent: the TaskRun whose child it becomes; it is deleted with its parent.
            created_by: the user, for the annotation; an admission policy verifies it.
            rerun_of: name of the run that it repeats.
        """
        spec = {
            "definition": self.definition,
            "displayName": self.name,
            "input": self.input,
            "delaySeconds": self.delay_seconds,
            "startAt": None if self.start_at is None else time_text(self.start_at),
            "secret": self.secret,
            "overrides": self.overrides,
            "parent": None if parent is None else parent["metadata"]["name"],
        }
        metadata = {
            "name": resource_name or self._resource_name(),
            "namespace": namespace,
            "labels": {names.LABEL_DEFINITION: self.definition},
            "annotations": _given({names.ANNOTATION_CREATED_BY: created_by, names.ANNOTATION_RERUN_OF: rerun_of}),
            "ownerReferences": [] if parent is None else [_owner(parent)],
        }
        return {
            "apiVersion": names.API_VERSION,
            "kind": "TaskRun",
            "metadata": {name: value for name, value in metadata.items() if value},
            "spec": _given(spec),
        }

    def _resource_name(self) -> str:
        # Not at the top of the module: every pod loads this module, and only few need hashlib and secrets.
        from podrelay.api import run_names  # noqa: PLC0415

        if self.key is None:
            return run_names.random_name(self.definition)
        return run_names.name_for(self.definition, self.definition, self.key)


def wanted_run(
    definition: str,
    input: Any = None,
    *,
    name: str | None = None,
    delay: float | timedelta | None = None,
    start_at: datetime | None = None,
    key: str | None = None,
    secret: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> WantedRun:
    """Check the arguments of a new run.

    Args:
        definition: id or name of the TaskDefinition: importProducts or import-products.
        input: a JSON object.
        name: display name, at most 256 characters.
        delay: whole seconds from the creation of the run to its start, fewer than 30,672,000 (355 days, as in Webiny).
        start_at: earliest start instead of a delay; needs a time zone.
        key: the same key gives the same run.
        secret: name of the Secret that its pods get.
        overrides: settings of the definition that are different for this run, named as in spec.overrides.

    Raises:
        InvalidRunError: an argument is invalid.
        PayloadError: the input cannot be stored.
    """
    if name is not None and len(name) > _DISPLAY_NAME_LENGTH:
        raise InvalidRunError("name", f"must have at most {_DISPLAY_NAME_LENGTH} characters")
    if delay is not None and start_at is not None:
        raise InvalidRunError("start_at", "cannot be combined with delay")
    return WantedRun(
        definition=definition_name(definition),
        # As the API server will store it: names of runs follow from it, and it is compared with what is stored.
        input=None if input is None else numbers.loads(limits.check_payload(input, "input")),
        name=name or None,
        delay_seconds=None if delay is None else _whole_seconds(delay),
        start_at=None if start_at is None else _in_utc(start_at),
        key=key,
        secret=secret,
        overrides=_checked_overrides(overrides) if overrides else None,
    )


def new_start(
    now: datetime, *, delay: float | timedelta | None = None, start_at: datetime | None = None
) -> dict[str, Any]:
    """Return the fields of the spec that let a run start at another time, for a merge patch.

    Args:
        now: the current time, aware.
        delay: whole seconds from now, fewer than 30,672,000 (355 days); 0 is at once.
        start_at: earliest start instead of a delay; needs a time zone. None, without a delay: at once.

    Raises:
        InvalidRunError: an argument is invalid.
    """
    if delay is not None and start_at is not None:
        raise InvalidRunError("start_at", "cannot be combined with delay")
    start = None if start_at is None else _in_utc(start_at)
    if delay is not None and (seconds := _whole_seconds(delay)):
        start = (now + timedelta(seconds=seconds, microseconds=999_999)).replace(microsecond=0)  # in whole seconds
    # A delay in the spec counts from the creation of the run.
    return {"delaySeconds": None, "startAt": None if start is None else time_text(start)}


def time_text(moment: datetime) -> str:
    """Return a time in UTC in the format of Kubernetes."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def definition_name(definition: str) -> str:
    """Return the name of a TaskDefinition for its id or its name.

    Raises:
        InvalidRunError: no TaskDefinition can have this id or name.
    """
    name = names.definition_name(definition) if names.is_camel_case(definition) else definition
    if not _NAME.fullmatch(name):
        problem = f"{definition!r} is not an id such as importProducts, nor a name such as import-products"
        raise InvalidRunError("definition", problem)
    return name


def check_same(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Check that an existing TaskRun is the one that a client wants to create again.

    Args:
        stored: the TaskRun that has the name.
        wanted: the manifest that was to be created.

    Raises:
        TriggerConflictError: definition, input, parent, Secret or overrides differ.
    """
    for field in ("definition", "input", "parent", "secret", "overrides"):
        if numbers.as_stored(stored["spec"].get(field)) != numbers.as_stored(wanted["spec"].get(field)):
            raise TriggerConflictError(
                f"TaskRun {stored['metadata']['name']} already exists with a different {field}; "
                "use another key or name to start another run"
            )


def _whole_seconds(delay: float | timedelta) -> int:
    seconds = delay.total_seconds() if isinstance(delay, timedelta) else delay
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise InvalidRunError("delay", f"must be a whole number of seconds, 0 or more, not {seconds!r}")
    if seconds >= limits.MAX_WAIT_SECONDS:
        raise DelayTooLongError("delay", f"must be shorter than {limits.MAX_WAIT_SECONDS} seconds (355 days)")
    if seconds != int(seconds):
        raise InvalidRunError("delay", f"must be a whole number of seconds, not {seconds!r}")
    return int(seconds)


def _checked_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    # Not at the top of the module: every pod loads this module, and few start runs with overrides.
    from podrelay.api import override_rules  # noqa: PLC0415

    problem = override_rules.problem_of(overrides)
    if problem is not None:
        raise InvalidRunError("overrides", problem)
    try:
        checked: dict[str, Any] = numbers.loads(limits.check_payload(dict(overrides), "overrides"))
    except limits.PayloadError as error:
        raise InvalidRunError("overrides", f"cannot be stored: {error}") from error
    return checked


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidRunError("start_at", f"needs a time zone: {moment.isoformat()}Z is UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidRunError("start_at", "must be between the years 1 and 9999 in UTC") from None


def _owner(parent: dict[str, Any]) -> dict[str, Any]:
    name, uid = parent["metadata"]["name"], parent["metadata"]["uid"]
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": name, "uid": uid}


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
