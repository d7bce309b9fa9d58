"""What users request of a TaskSchedule: a run now, runs for past times, a pause.

The task service, the CLI and the gateway build their requests here. Standard library only.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from podrelay.api import limits, names, numbers, run_names
from podrelay.api.errors import InvalidArgumentError

MOST_BACKFILLS: Final = 10
_NOTE_LENGTH: Final = 1024


class InvalidScheduleRequestError(InvalidArgumentError):
    """An argument is invalid; nothing was changed."""


def triggered_run(
    schedule: Mapping[str, Any],
    now: datetime,
    *,
    input: Any = None,
    created_by: str | None = None,
    key: str | None = None,
) -> dict[str, Any]:
    """Return the TaskRun that starts now what a schedule starts at its times.

    Args:
        schedule: the TaskSchedule.
        now: the current time, aware.
        input: replaces the input of the schedule; None: the same input.
        created_by: the user.
        key: the same key gives the same run.

    Raises:
        PayloadError: the input cannot be stored.
    """
    name, run = schedule["metadata"]["name"], schedule["spec"]["run"]
    if input is not None:
        input = numbers.loads(limits.check_payload(input, "input"))
    spec = {
        "definition": run["definition"],
        "input": run.get("input") if input is None else input,
        "displayName": run.get("displayName"),
        "ttlSecondsAfterFinished": run.get("ttlSecondsAfterFinished"),
        "secret": run.get("secret"),
        "overrides": run.get("overrides"),
        "scheduled": {"schedule": name, "time": _text(now), "manual": True},
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskRun",
        "metadata": {
            "name": run_names.random_name(name) if key is None else run_names.name_for(name, "manual", key),
            "namespace": schedule["metadata"]["namespace"],
            "labels": {names.LABEL_DEFINITION: run["definition"], names.LABEL_SCHEDULE: name},
            "annotations": {names.ANNOTATION_CREATED_BY: created_by} if created_by else {},
        },
        "spec": {field: value for field, value in spec.items() if value is not None},
    }


def new_schedule(
    name: str, spec: Mapping[str, Any], *, namespace: str, created_by: str | None = None
) -> dict[str, Any]:
    """Return the TaskSchedule to create; the API server checks it.

    Args:
        name: its name.
        spec: its spec, as JSON.
        namespace: its namespace.
        created_by: the user.

    Raises:
        InvalidScheduleRequestError: the spec is not an object.
    """
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TaskSchedule",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {names.ANNOTATION_CREATED_BY: created_by} if created_by else {},
        },
        "spec": checked_spec(spec),
    }


def changed_schedule(spec: Mapping[str, Any], user: str | None) -> dict[str, Any]:
    """Return the merge patch that changes the spec of a schedule; a null in `spec` removes a field.

    Args:
        spec: the fields to change, as JSON.
        user: the user, who becomes the author if the runs change.

    Raises:
        InvalidScheduleRequestError: the spec is not an object.
    """
    changes = checked_spec(spec)
    signed = {"metadata": {"annotations": {names.ANNOTATION_CHANGED_BY: user}}} if user and "run" in changes else {}
    return {**signed, "spec": changes}


def checked_spec(spec: Any) -> dict[str, Any]:
    """Return the spec of a schedule as a dict.

    Raises:
        InvalidScheduleRequestError: it is not an object.
    """
    if not isinstance(spec, Mapping):
        raise InvalidScheduleRequestError("spec", "must be a JSON object with the fields of the spec of a TaskSchedule")
    return dict(spec)


def with_backfill(
    schedule: Mapping[str, Any],
    begin: datetime,
    until: datetime,
    *,
    overlap: str = "OneByOne",
    starts_per_minute: int = 60,
    name: str | None = None,
) -> list[dict[str, Any]]:
    """Return the backfills of a schedule with one more; the same range and options give the same backfill.

    Args:
        schedule: the TaskSchedule.
        begin: the first time, inclusive, aware.
        until: the end of the range, exclusive, aware.
        overlap: OneByOne or Allow.
        starts_per_minute: 1 to 600.
        name: its name; by default made from the range.

    Raises:
        InvalidScheduleRequestError: an argument is invalid, or ten backfills are unfinished.
    """
    for argument, moment in (("from", begin), ("until", until)):
        if moment.tzinfo is None:
            raise InvalidScheduleRequestError(argument, f"needs a time zone: {moment.isoformat()}Z is UTC")
    if until <= begin:
        raise InvalidScheduleRequestError("until", "must be later than from")
    if not 1 <= starts_per_minute <= 600:
        raise InvalidScheduleRequestError("startsPerMinute", "must be from 1 to 600")
    if overlap not in {"OneByOne", "Allow"}:
        raise InvalidScheduleRequestError("overlap", "must be OneByOne or Allow")
    name = name or f"{begin.astimezone(UTC):%Y%m%dt%H%M%Sz}-{until.astimezone(UTC):%Y%m%dt%H%M%Sz}"
    wanted = {
        "name": name,
        "from": _text(begin),
        "until": _text(until),
        "overlap": overlap,
        "startsPerMinute": starts_per_minute,
    }
    known: list[dict[str, Any]] = list(schedule["spec"].get("backfills") or ())
    same = next((backfill for backfill in known if backfill["name"] == name), None)
    if same is not None:
        if same != wanted:
            raise InvalidScheduleRequestError("name", f"{name!r} belongs to a backfill with other options; use another")
        return known
    return [*_without_finished(schedule, known), wanted]


def _without_finished(schedule: Mapping[str, Any], known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the backfills, without the oldest finished one if there are ten."""
    if len(known) < MOST_BACKFILLS:
        return known
    status = schedule.get("status") or {}
    finished = {backfill["name"] for backfill in status.get("backfills") or () if backfill.get("finishedAt")}
    oldest = next((backfill for backfill in known if backfill["name"] in finished), None)
    if oldest is None:
        raise InvalidScheduleRequestError("name", "is one backfill too many; wait until one has finished")
    return [backfill for backfill in known if backfill is not oldest]


def suspension(note: str | None, user: str | None) -> dict[str, Any]:
    """Return the fields of the spec that suspend a schedule, for a merge patch."""
    return {"suspend": True, "suspendNote": limits.cut(note, _NOTE_LENGTH) if note else None, "suspendedBy": user}


def resumption() -> dict[str, Any]:
    """Return the fields of the spec that resume a schedule, for a merge patch."""
    return {"suspend": False, "suspendNote": None, "suspendedBy": None}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
