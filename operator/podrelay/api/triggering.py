"""Shared code for starting a run: its manifest, its name, and when two requests mean the same run.

Standard library only, because gateway, task service, CLI and runner all import it.
"""

import base64
import hashlib
import json
import secrets
from datetime import UTC, datetime
from typing import Any, Final

from podrelay.api import names, numbers
from podrelay.api.errors import PodrelayError

_DEFINITION_LENGTH: Final = 35
_HASH_LENGTH: Final = 12
"""Base32 characters: 60 bits."""


class TriggerConflictError(PodrelayError):
    """A different run with this name already exists."""

    reason = "TriggerConflict"


def name_for(definition: str, *identity: Any) -> str:
    """Return a name for a run that is derived from `identity`, so that a repeated request gets the same name.

    Args:
        definition: name of the TaskDefinition, in kebab-case.
        identity: JSON values that distinguish the run from other runs of its definition.
    """
    digest = base64.b32encode(hashlib.sha256(canonical(list(identity)).encode()).digest()).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def random_name(definition: str) -> str:
    """Return a new random name, so that a request can be sent again if its response was lost."""
    digest = base64.b32encode(secrets.token_bytes(8)).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def canonical(value: Any) -> str:
    """Return canonical JSON: equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def manifest(
    definition: str,
    input: dict[str, Any] | None = None,
    *,
    namespace: str | None = None,
    name: str | None = None,
    idempotency_key: str | None = None,
    display_name: str | None = None,
    delay_seconds: int | None = None,
    start_at: datetime | None = None,
    parent: dict[str, Any] | None = None,
    created_by: str | None = None,
    rerun_of: str | None = None,
    secret: str | None = None,
) -> dict[str, Any]:
    """Return the TaskRun to create.

    Args:
        definition: name of the TaskDefinition, or its id.
        input: a JSON object.
        namespace: written into the metadata if given.
        name: name of the TaskRun; None: derived from idempotency_key, or random without one.
        idempotency_key: all requests with the same key get the same run.
        display_name: human-readable name of the run.
        delay_seconds: start the run this long after its creation.
        start_at: do not start the run before this time (a datetime with a time zone).
        parent: the TaskRun that the run becomes a child of; the run is deleted together with it.
        created_by: the user, for the annotation; an admission policy verifies it.
        rerun_of: name of the run that this one repeats.
        secret: name of the Secret that the run's pods get.
    """
    definition = names.definition_name(definition)
    spec: dict[str, Any] = {"definition": definition}
    if display_name:
        spec["displayName"] = display_name
    if input is not None:
        spec["input"] = input
    if secret is not None:
        spec["secret"] = secret
    if delay_seconds is not None:
        spec["delaySeconds"] = delay_seconds
    if start_at is not None:
        spec["startAt"] = start_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if name is None:
        name = random_name(definition) if idempotency_key is None else name_for(definition, definition, idempotency_key)
    metadata: dict[str, Any] = {"name": name, "labels": {names.LABEL_DEFINITION: definition}}
    if namespace:
        metadata["namespace"] = namespace
    annotations = {names.ANNOTATION_CREATED_BY: created_by, names.ANNOTATION_RERUN_OF: rerun_of}
    if given := {key: value for key, value in annotations.items() if value}:
        metadata["annotations"] = given
    if parent is not None:
        spec["parent"] = parent["metadata"]["name"]
        owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": spec["parent"]}
        metadata["ownerReferences"] = [{**owner, "uid": parent["metadata"]["uid"]}]
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "metadata": metadata, "spec": spec}


def check_same(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Check that an existing run is the one that the request would create.

    Args:
        stored: the existing TaskRun with that name.
        wanted: the manifest of the request.

    Raises:
        TriggerConflictError: definition, input, parent or Secret differ.
    """
    for field in ("definition", "input", "parent", "secret"):
        if numbers.as_stored(stored["spec"].get(field)) != numbers.as_stored(wanted["spec"].get(field)):
            raise TriggerConflictError(
                f"TaskRun {stored['metadata']['name']} already exists with a different {field}; "
                "use another key or name to start another run"
            )


def _head(definition: str) -> str:
    return definition[:_DEFINITION_LENGTH].rstrip("-")
