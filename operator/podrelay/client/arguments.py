"""Converts the caller's arguments for the API server, and rejects invalid ones before anything is sent."""

import logging
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from podrelay.api import limits, names, override_rules, wanted_run
from podrelay.api.phases import STATUS_WORDS
from podrelay.api.wanted_run import InvalidRunError, WantedRun
from podrelay.client.errors import DefinitionNotFoundError, InvalidInputError
from podrelay.sdk import inputs, validation
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import InputError

DefinitionRef = str | type[TaskDefinition]
"""A definition's id, resource name, or class."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PHASES: Final = {word.lower(): phase for phase, status in STATUS_WORDS.items() for word in (phase, status)}

log = logging.getLogger(__name__)


def definition_name(definition: DefinitionRef) -> str:
    """Return the resource name of a definition."""
    return names.definition_name(ident_of(definition))


def is_name(name: str) -> bool:
    """Return whether a resource can have this name; a selector with an invalid name would mean something else."""
    return len(name) <= 63 and _NAME.fullmatch(name) is not None


def checked_input(definition: DefinitionRef, input: Any) -> dict[str, Any]:
    """Return `input` as the JSON object to store.

    Args:
        definition: if it is a class, the input must match its model.
        input: a mapping, a pydantic model, or None for an empty object.

    Raises:
        InvalidInputError: the input does not match, or cannot be stored.
    """
    value = input
    if hasattr(input, "model_dump"):
        value = input.model_dump(mode="json", by_alias=True)
    elif input is None or isinstance(input, Mapping):
        value = dict(input or {})
    try:
        limits.check_payload(value, "input")
        if not isinstance(definition, str):
            _rules(definition).check(value)
    except limits.PayloadError as error:
        raise InvalidInputError.of_field("input", str(error)) from error
    except InputError as error:
        fields = error.data["invalidFields"]
        problems = "; ".join(f"{path or 'input'}: {field['message']}" for path, field in fields.items())
        raise InvalidInputError(f"{error} {problems}", error.data) from error
    checked: dict[str, Any] = value
    return checked


def _rules(definition: type[TaskDefinition]) -> validation.InputRules:
    """Return the class's rules for its input, or only its model if the other rules work only in the cluster."""
    try:
        return validation.rules_of(definition())
    except Exception as error:  # noqa: BLE001 - an author's code may raise anything; the pod validates anyway
        log.warning("create_input_validation of %s fails here, the pod will call it: %s", definition.id, error)
        return validation.InputRules(inputs.input_type(definition))


def ident_of(definition: DefinitionRef) -> str:
    """Return the id or name of a definition, as the caller gave it."""
    return definition if isinstance(definition, str) else definition.id


def checked_run(definition: DefinitionRef, input: Any, **arguments: Any) -> WantedRun:
    """Return the checked arguments of a new run; they are those of `api.wanted_run.wanted_run`.

    Raises:
        DefinitionNotFoundError: no TaskDefinition can have this name.
        InvalidInputError: another argument is invalid.
    """
    ident = ident_of(definition)
    try:
        return wanted_run.wanted_run(ident, checked_input(definition, input), **arguments)
    except InvalidRunError as error:
        if error.argument == "definition":
            raise DefinitionNotFoundError.of(ident) from error
        raise InvalidInputError.of_field(error.argument, error.problem) from error


def check_overrides(definition: Mapping[str, Any], wanted: WantedRun) -> None:
    """Reject overrides that a TaskDefinition, as the API server sent it, does not allow.

    Raises:
        InvalidInputError: it does not allow one of them.
    """
    allowed = definition["spec"].get("allowOverrides") or ()
    refusal = override_rules.refusal(wanted.definition, wanted.overrides or {}, allowed)
    if refusal is not None:
        raise InvalidInputError.of_field("overrides", refusal)


def new_start(*, delay: float | timedelta | None, start_at: datetime | None) -> dict[str, Any]:
    """Return the merge patch of the spec for another start; the arguments are those of `api.wanted_run.new_start`.

    Raises:
        InvalidInputError: an argument is invalid.
    """
    try:
        return wanted_run.new_start(datetime.now(UTC), delay=delay, start_at=start_at)
    except InvalidRunError as error:
        raise InvalidInputError.of_field(error.argument, error.problem) from error


def aware(moment: datetime | None, what: str) -> datetime | None:
    """Return a time in UTC.

    Raises:
        InvalidInputError: the time has no time zone and is therefore ambiguous.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidInputError.of_field(what, "needs a time zone, for example datetime.now(UTC)")
    return moment.astimezone(UTC)


def run_selector(
    definition: DefinitionRef | None = None, status: str | Iterable[str] | None = None, parent: str | None = None
) -> str | None:
    """Return the field selector for runs.

    Args:
        definition: only runs of this definition.
        status: only runs with one of these: phases, or Webiny's words for them.
        parent: only children of this run.

    Raises:
        InvalidInputError: a status does not exist, or a name is not valid.
    """
    fields = {"spec.definition": None if definition is None else definition_name(definition), "spec.parent": parent}
    terms = []
    for field, name in fields.items():
        if name is not None:
            if not is_name(name):
                raise InvalidInputError.of_field(field.removeprefix("spec."), f"{name!r} is not a valid name")
            terms.append(f"{field}={name}")
    if status is not None:
        wanted = {_phase(word) for word in ([status] if isinstance(status, str) else status)}
        # Field selectors support "none of", but not "one of". The newest runs have no phase: no operator has seen them.
        unwanted = [phase for phase in STATUS_WORDS if phase not in wanted]
        terms += [f"status.phase!={phase}" for phase in (*unwanted, *([""] if "Pending" in unwanted else []))]
    return ",".join(terms) or None


def _phase(word: str) -> str:
    try:
        return _PHASES[word.lower()]
    except KeyError:
        raise InvalidInputError.of_field(
            "status", f"there is no status {word!r}; use one of {', '.join(STATUS_WORDS.values())}"
        ) from None
