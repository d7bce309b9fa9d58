"""Parses the arguments of commands: durations, times, inputs, ids."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import typer

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def duration(text: str) -> timedelta:
    """Return `90`, `90s`, `1h30m` or `2d` as a timedelta.

    Raises:
        BadParameter: it is not a duration.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        text += "s"
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise typer.BadParameter(f"{text!r} is not a duration; use for example 90s, 10m, 1h30m or 2d")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long") from None


def moment(text: str) -> datetime:
    """Return an ISO 8601 time (local if it has no time zone), or, for a duration, the time that long ago.

    Raises:
        BadParameter: it is neither.
    """
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - duration(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"{text!r} is not a time; use for example 2026-12-31T18:00, 2026-12-31T18:00:00Z or 2h (ago)"
        ) from None
    except OverflowError:
        raise typer.BadParameter(f"{text!r} is too long ago") from None


def start(text: str) -> datetime:
    """Return an ISO 8601 time; whether it has a time zone is checked with the other arguments of a run.

    Raises:
        BadParameter: it is not a time.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time; use for example 2026-12-31T18:00:00Z") from None


def json_input(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`, or the one in @FILE, or, for `-` and `@-`, the one on stdin.

    Raises:
        BadParameter: it is not a JSON object, or the file cannot be read.
    """
    source = "this"
    try:
        if text in {"-", "@-"}:
            source = "stdin"
            text = sys.stdin.read()
        elif text.startswith("@"):
            source = text[1:]
            text = Path(source).read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"cannot read {source}: {error.strerror}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{source} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise typer.BadParameter(f"{source} is not a JSON object, but {type(value).__name__}")
    return value


def run_id(text: str) -> str:
    """Return the id of a run, which may be given as `kubectl -o name` prints it."""
    return text.rpartition("/")[2]
