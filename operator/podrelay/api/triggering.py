"""What every door that starts a run agrees on: the manifest, its name, and what "the same run" means.

Standard library only: gateway, task service, CLI and runner use it.
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
"""Of base32: 60 bits."""


class TriggerConflictError(PodrelayError):
    """There is a run of this name already, and it was asked for otherwise."""

    reason = "TriggerConflict"


def name_for(definition: str, *identity: Any) -> str:
    """Return the name of a run that follows from what it is to do: whoever asks again gets the same name.

    Args:
        definition: name of the TaskDefinition, in kebab-case.
        identity: JSON values that tell the run from others of its definition.
    """
    digest = base64.b32encode(hashlib.sha256(canonical(list(identity)).encode()).digest()).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def random_name(definition: str) -> str:
    """Return a name that nobody has used, so that a request whose answer was lost can be sent again."""
    digest = base64.b32encode(secrets.token_bytes(8)).decode().lower()
    return f"{_head(definition)}-{digest[:_HASH_LENGTH]}"


def canonical(value: Any) -> str:
    """Return JSON that is equal for equal values."""
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
        name: of the resource; None: made from idempotency_key, or at random.
        idempotency_key: whoever triggers with the same key gets the same run.
        display_name: its name for people.
        delay_seconds: start this long after its creation.
        start_at: or not before this time (aware).
        parent: the TaskRun that it becomes a child of; it goes when that one goes.
        created_by: the user, for the annotation; a policy holds it to the truth.
        rerun_of: name of the run that it repeats.
        secret: name of the Secret that its pods get.
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
    if told := {key: value for key, value in annotations.items() if value}:
        metadata["annotations"] = told
    if parent is not None:
        spec["parent"] = parent["metadata"]["name"]
        owner = {"apiVersion": names.API_VERSION, "kind": "TaskRun", "name": spec["parent"]}
        metadata["ownerReferences"] = [{**owner, "uid": parent["metadata"]["uid"]}]
    return {"apiVersion": names.API_VERSION, "kind": "TaskRun", "metadata": metadata, "spec": spec}


def check_same(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Make sure that a run which exists already is the one that is asked for again.

    Args:
        stored: the TaskRun that has the name.
        wanted: the manifest that was to be created.

    Raises:
        TriggerConflictError: definition, input, parent or Secret differ.
    """
    for field in ("definition", "input", "parent", "secret"):
        if numbers.as_stored(stored["spec"].get(field)) != numbers.as_stored(wanted["spec"].get(field)):
            raise TriggerConflictError(
                f"TaskRun {stored['metadata']['name']} exists already with another {field}; "
                "choose another key or name to start a further run"
            )


def _head(definition: str) -> str:
    return definition[:_DEFINITION_LENGTH].rstrip("-")
