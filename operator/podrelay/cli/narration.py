"""Describes what happens to a run in plain text: it takes changes of objects and prints lines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.cli.screen import Screen
from podrelay.local.history import Event

Object = dict[str, Any]


class Narrator:
    """Prints what happens to a run and its children.

    Args:
        screen: where to print.
        run: name of the run; lines about its children begin with their names.
    """

    def __init__(self, screen: Screen, run: str) -> None:
        self._screen = screen
        self._run = run
        self._shown: dict[str, str] = {}
        self._progress: dict[str, Any] = {}
        self._answered: set[str] = set()

    def changed(self, event: Event) -> None:
        """Print what a change means, if anything."""
        if event.plural == names.TASK_RUNS and not event.is_deletion:
            self._run_changed(event.object)
        elif event.plural == names.TASK_ITERATIONS and not event.is_deletion:
            self._record_changed(event.object)

    def printed(self, pod: str, line: str) -> None:
        """Print a line that a container has printed."""
        self._screen.line(f"{self._mark(names.run_of(pod))}  {log_line(line) or line}")

    def _run_changed(self, run: Object) -> None:
        name, status = run["metadata"]["name"], run.get("status") or {}
        phase = status.get("phase")
        if phase is None:
            return
        if phase in FINISHED:
            self._screen.live("")
            text = f"{phase} after {_iterations(status)} in {_span(run)}: {status['message']}"
        elif status.get("nextIterationAt"):
            until = datetime.fromisoformat(status["nextIterationAt"]).astimezone()
            text = f"{status['reason']}: next pod at {until:%Y-%m-%d %H:%M:%S}"
        elif status["reason"] == "IterationRunning":
            text = status["message"]
        else:
            text = f"{status['reason']}: {status['message']}"
        if self._shown.get(name) != text:
            self._shown[name] = text
            self._screen.line(f"{_clock()} {self._mark(name)}{text}")
            for line in _details(status.get("error") or {}) if phase in FINISHED else ():
                self._screen.line(f"{self._mark(name)}  {line}")

    def _record_changed(self, record: Object) -> None:
        name, run = record["metadata"]["name"], record["runName"]
        response, progress = record.get("response"), record.get("progress")
        if progress is not None and self._progress.get(name) != progress:
            self._progress[name] = progress
            percent = f"{progress['percent']:g}% " if "percent" in progress else ""
            self._screen.live(
                f"{_clock()} {self._mark(run)}iteration {record['iteration']}: {percent}{progress.get('message', '')}"
            )
        if response is not None and name not in self._answered:
            self._answered.add(name)
            self._screen.live("")
            attempt = f" attempt {record['try']}" if record["try"] > 1 else ""
            words = response.get("message") or (response.get("error") or {}).get("message")
            answer = f"{response['status']}: {words}" if words else response["status"]
            self._screen.line(f"{_clock()} {self._mark(run)}iteration {record['iteration']}{attempt} answered {answer}")

    def _mark(self, run: str) -> str:
        return "" if run == self._run else f"[{run}] "


def log_line(line: str) -> str | None:
    """Return a line of `controller.logger` as plain text, or None for any other line."""
    if not line.startswith('{"time": '):
        return None
    try:
        item = json.loads(line)
        moment = datetime.fromisoformat(item["time"]).astimezone()
        words = f"{moment:%H:%M:%S} {'ERROR ' if item['type'] == 'error' else ''}{item['message']}"
    except (ValueError, KeyError, TypeError):
        return None
    error = (item.get("error") or {}).get("message")
    if error and not item["message"].startswith(error):  # the message about an answer does
        words += f": {error}"
    return words if item.get("data") is None else f"{words} {json.dumps(item['data'], ensure_ascii=False)}"


def _details(error: Object) -> Iterator[str]:
    """Yield what the message of an error omits: its code and its data."""
    if error.get("code"):
        yield f"code: {error['code']}"
    if error.get("data") is not None:
        yield f"data: {json.dumps(error['data'], ensure_ascii=False)}"


def _clock() -> str:
    return f"{datetime.now(UTC).astimezone():%H:%M:%S}"


def _iterations(status: Object) -> str:
    number = status.get("iterations") or 0
    return f"{number} iteration{'' if number == 1 else 's'}"


def _span(run: Object) -> str:
    began = datetime.fromisoformat(run["metadata"]["creationTimestamp"])
    span: timedelta = datetime.fromisoformat(run["status"]["finishedAt"]) - began
    return str(span)
