"""Checks inputs against JSON Schemas. Run as a program, it answers requests on its standard input, one per line.

It is a separate process because both schema and input are untrusted, and some take very long: finding the errors in an
input of 13 levels, by a schema with two alternatives that refer to themselves, takes 1 s and 240 MiB, and twice as much
for each further level. This cannot be stopped from within a process, so the process ends itself when it has used up its
time or memory. `process.py` and `blocking.py` are its clients.

Schemas follow JSON Schema 2020-12, or the older draft that they name. Remote $refs are not fetched, formats are
annotations only, and matching a pattern stops after a fixed number of steps.
"""

import os
import resource
import signal
import sys
from functools import lru_cache
from typing import Any, BinaryIO, Final

import jsonschema_rs
import msgspec

from podrelay.schemas.protocol import OUT_OF_MEMORY, READY
from podrelay.schemas.verdict import Verdict

CPU_SECONDS: Final = 1.0
MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Limit of the address space; the program itself needs 60 MiB."""

MAX_FIELDS: Final = 100
MAX_BYTES: Final = 16 * 1024
"""Maximum size of the JSON for all invalid fields."""
_MAX_TEXT: Final = 256
_BACKTRACKS: Final = 100_000
_NESTING: Final = 11_000
"""Nesting that the API server accepts."""
_KEPT_VALIDATORS: Final = 64


class Request(msgspec.Struct, frozen=True):
    """An input and the schema to check it against; without an input, a schema to check."""

    schema: msgspec.Raw
    input: msgspec.Raw = msgspec.Raw()


def check(request: Request) -> Verdict:
    """Return the problem with the schema, or the invalid fields of the input."""
    try:
        validator = _validator(bytes(request.schema))
    except ValueError:  # includes jsonschema_rs.ValidationError
        return Verdict(problem=_problem(bytes(request.schema)))
    if not bytes(request.input):
        return Verdict()
    value = msgspec.json.decode(request.input)
    # is_valid() is fast even if finding the errors is slow, because it tries alternatives only once.
    return Verdict() if validator.is_valid(value) else Verdict(fields=_fields(validator, value))


@lru_cache(_KEPT_VALIDATORS)
def _validator(schema: bytes) -> Any:
    # Messages must not contain the value: it may be long or confidential.
    return _compiled(schema, mask="the value")


def _compiled(schema: bytes, mask: str | None = None) -> Any:
    return jsonschema_rs.validator_for(
        schema.decode(),
        offline=True,
        validate_formats=False,
        mask=mask,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS),
    )


def _problem(schema: bytes) -> str:
    """Return a message that says what is wrong with a schema and quotes it."""
    try:
        _compiled(schema)
    except jsonschema_rs.ValidationError as error:
        path = "".join(f".{part}" for part in error.instance_path)
        return f"{_cut(f'spec.inputSchema{path}')}: {_cut(error.message)}"
    except ValueError as error:
        return f"spec.inputSchema: {_cut(str(error))}"
    raise AssertionError("a schema is refused only sometimes")


def _fields(validator: Any, value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    size = 0
    for error in validator.iter_errors(value):
        for path, code, message in _errors(error):
            name = _cut(".".join(path))
            if name in fields:
                continue
            field = {"code": code, "message": _cut(message), "data": {"path": [_cut(part) for part in path]}}
            size += len(msgspec.json.encode({name: field}))
            if len(fields) == MAX_FIELDS or (fields and size > MAX_BYTES):
                return fields
            fields[name] = field
    return fields


def _errors(error: Any) -> list[tuple[list[str], str, str]]:
    """Return paths, codes and messages. Errors that pydantic reports at the field get the same path and code here."""
    path = [str(part) for part in error.instance_path]
    kind = error.kind
    if kind.name == "required":
        return [([*path, kind.property], "missing", "Field required")]
    if kind.name == "additionalProperties":
        return [([*path, name], "extra_forbidden", "Extra inputs are not permitted") for name in kind.unexpected]
    return [(path, kind.name, error.message)]


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def serve(requests: BinaryIO, answers: BinaryIO, idle_seconds: float = 0) -> None:
    """Answer requests, one per line, until the end of the input. A request that exceeds the limits ends the process.

    Args:
        requests: the stream of requests.
        answers: the stream for responses.
        idle_seconds: after how many seconds without a request the process ends; 0: never.
    """
    sys.setrecursionlimit(_NESTING)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decode = msgspec.json.Decoder(Request).decode
    answers.write(READY)
    answers.flush()
    while True:
        signal.setitimer(signal.ITIMER_REAL, idle_seconds)  # SIGALRM has no handler: it ends the process
        line = requests.readline()
        signal.setitimer(signal.ITIMER_REAL, 0)
        if not line:
            return
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # SIGPROF has no handler: it ends the process
        try:
            verdict = check(decode(line))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(msgspec.json.encode(verdict) + b"\n")
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer, float(sys.argv[1]) if sys.argv[1:] else 0)
