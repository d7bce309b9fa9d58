"""`podrelay run MODULE:CLASS`: runs a task with all of its iterations on this computer, without a cluster."""

import argparse
import contextlib
import io
import json
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from podrelay.api import limits, names
from podrelay.api.errors import PodrelayError
from podrelay.api.task_run import TaskRunStatus
from podrelay.cli import exit_codes
from podrelay.cli.interrupts import Interrupts
from podrelay.cli.manifests import manifest
from podrelay.cli.narration import Narrator, log_line
from podrelay.cli.screen import Screen
from podrelay.kube.errors import ApiError
from podrelay.local.calls import CallRuntime
from podrelay.local.clock import Clock
from podrelay.local.errors import NotRunnableHereError
from podrelay.local.outcome import result_of
from podrelay.local.processes import ProcessRuntime
from podrelay.local.signals import SentSignal, check_by_models, send
from podrelay.local.world import World
from podrelay.sdk import loading
from podrelay.sdk.definition import TaskDefinition
from podrelay.sdk.errors import DefinitionError

_IMAGE: Final = "localhost/none"
_EPILOG: Final = """examples:
  podrelay run shop.tasks:ImportProducts --input '{"url": "https://example.org/products"}'
  podrelay run tasks.py --input @input.json -o json

exit codes: 0 Succeeded, 1 Failed, 2 wrong usage, 3 Aborted. Ctrl-C aborts the run: the task is notified and has its
grace period to clean up; a second Ctrl-C kills it.
"""


class InputError(PodrelayError):
    """The value of --input, --overrides or --secret-file is not valid."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command to `parser`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "task", metavar="MODULE:CLASS", help="MODULE is importable from the current folder, or a path to a .py file"
    )
    parser.add_argument("--input", metavar="JSON", default="{}", help="a JSON object; @FILE reads a file, @- stdin")
    parser.add_argument(
        "--secret-file",
        action="append",
        default=[],
        metavar="KEY=FILE",
        help="the value of KEY in controller.secret; can be repeated; a folder provides a key for each of its files",
    )
    parser.add_argument(
        "--overrides", metavar="JSON", default="{}", help="settings of the definition that are different for this run"
    )
    parser.add_argument(
        "--signal",
        metavar="NAME[=JSON]",
        action="append",
        default=[],
        help="a signal for the run, sent at its start and kept until the task waits for it; can be repeated",
    )
    parser.add_argument("--name", metavar="NAME", help="name of the TaskRun; default: derived from the definition")
    parser.add_argument(
        "--in-process", action="store_true", help="run the iterations in this process, for breakpoints and debuggers"
    )
    parser.add_argument("--no-wait", action="store_true", help="skip the pauses between iterations")
    parser.add_argument(
        "--output", "-o", choices=("text", "json"), default="text", help="json: the whole TaskRun; default: its output"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the task and return the exit code.

    Raises:
        StuckError: the run will never finish.
    """
    with tempfile.TemporaryDirectory(prefix="podrelay-") as folder:
        try:
            local = _LocalRun(arguments, Path(folder))
        except PodrelayError as error:
            print(f"podrelay run: {_in_words(error)}", file=sys.stderr)
            return exit_codes.WRONG_USAGE
        with contextlib.closing(local.runtime), local.interrupts():
            local.world.run_to_the_end()
    finished = local.world.runs[local.name]
    if arguments.output == "json":
        print(json.dumps(finished | {"status": _in_order(finished["status"])}, indent=4, ensure_ascii=False))
    else:
        output = result_of(local.name, local.world.runs, local.world.records).output
        if output is not None:
            print(json.dumps(output, indent=2, ensure_ascii=False))
    return exit_codes.OF_PHASE[finished["status"]["phase"]]


class _LocalRun:
    """One run of a task, as the arguments describe it.

    Raises:
        PodrelayError: the arguments, or the class, cannot be used.
    """

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        payload, secret = _input(arguments.input), _secret(arguments.secret_file)
        overrides = _input(arguments.overrides, "overrides")
        signals = [_signal(text) for text in arguments.signal]
        with contextlib.redirect_stdout(sys.stderr):  # the module's own output is not a result
            chosen = loading.load_definition(arguments.task)
        module = arguments.task.partition(":")[0]
        definition = names.definition_name(chosen.id)
        self.name: str = arguments.name or f"{definition[:43].rstrip('-')}-{secrets.token_hex(3)}"
        self._in_process: bool = arguments.in_process
        self._screen = Screen(sys.stderr, is_live=sys.stderr.isatty() and not self._in_process)
        narrator = Narrator(self._screen, self.name)
        self.world = World(folder, Clock(), skips_waits=arguments.no_wait, changed=narrator.changed)
        classes = _define(self.world, chosen, module)
        self.runtime = self._runtime(folder, classes, narrator)
        self.world.use(self.runtime)
        spec = {"definition": definition, "input": payload, **({"overrides": overrides} if overrides else {})}
        try:
            if secret:
                spec["secret"] = self.world.add_secret(secret)
            self._screen.line(f"{self.name}: {chosen.title}")
            self.world.create_run({"metadata": {"name": self.name}, "spec": spec})
            send(self.world, self.name, signals)
        except BaseException:
            self.runtime.close()
            raise

    def _runtime(
        self, folder: Path, classes: dict[str, type[TaskDefinition]], narrator: Narrator
    ) -> CallRuntime | ProcessRuntime:
        world = self.world
        if self._in_process:
            return CallRuntime(world.api, classes, world.clock, world.settle)
        return ProcessRuntime(world.api, folder, lambda: world.clock.ahead, narrator.printed, world.wake)

    @contextlib.contextmanager
    def interrupts(self) -> Iterator[None]:
        """Let Ctrl-C abort the run, and print a task's stdout on stderr if it runs in this process."""
        with (
            Interrupts(self._abort, self.world.kill_all, self._stop),
            contextlib.redirect_stdout(_LogWriter(sys.stderr)) if self._in_process else contextlib.nullcontext(),
        ):
            yield

    def _abort(self) -> None:
        self._screen.line("aborting; the task has its grace period to clean up; press Ctrl-C again to kill it")
        self.world.abort_all("aborted by Ctrl-C")
        # A call blocks the main loop, so the task is notified of the abort here.
        if isinstance(self.runtime, CallRuntime) and self.runtime.current is not None:
            self.runtime.current.terminate()

    def _stop(self) -> None:
        if isinstance(self.runtime, CallRuntime) and self.runtime.current is not None:
            raise KeyboardInterrupt


class _LogWriter(io.TextIOBase):
    """Stdout of a task in this process: log lines as plain text, everything else (a debugger's prompt) unchanged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(log_line(text) or text)
        self._stream.flush()
        return len(text)


def _in_order(status: dict[str, Any]) -> dict[str, Any]:
    """Return a status with its fields in the order of the resource, the most important ones first."""
    fields = (field.alias or name for name, field in TaskRunStatus.model_fields.items())
    return {field: status[field] for field in fields if field in status}


def _in_words(error: PodrelayError) -> str:
    return error.message if isinstance(error, ApiError) else str(error)


def _define(world: World, chosen: type[TaskDefinition], module: str) -> dict[str, type[TaskDefinition]]:
    """Apply the chosen definition and the others of its module: the task may start runs of them."""
    available = loading.definitions_of(sys.modules[chosen.__module__])
    classes: dict[str, type[TaskDefinition]] = {}
    for item in [chosen, *(item for item in available if item != chosen)]:
        check_by_models(world, item)
        try:
            world.define(manifest(item, module, _IMAGE))
        except (NotRunnableHereError, DefinitionError) as error:
            if item is chosen:
                raise
            if isinstance(error, DefinitionError):
                print(f"podrelay run: {error}", file=sys.stderr)
        else:
            classes[names.definition_name(item.id)] = item
    return classes


def _secret(files: list[str]) -> dict[str, str]:
    """Return the values of --secret-file: each is KEY=FILE or a folder."""
    values: dict[str, str] = {}
    for text in files:
        key, separator, name = text.partition("=")
        path = Path(name if separator else text)
        try:
            found = {key: path} if separator else {file.name: file for file in path.iterdir() if file.is_file()}
            values |= {key: file.read_bytes().decode() for key, file in found.items()}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"--secret-file {text}: {error}") from error
    return values


def _signal(text: str) -> SentSignal:
    """Return the signal of --signal: NAME or NAME=JSON."""
    name, separator, payload = text.partition("=")
    if not names.is_signal(name):
        raise InputError(f"--signal {text}: {name!r} is not the name of a signal; write for example payment")
    try:
        value = json.loads(payload) if separator else None
        if value is not None:
            limits.check_payload(value, "payload")
    except ValueError as error:
        raise InputError(f"--signal {text}: {error}") from error
    return SentSignal(name, value)


def _input(text: str, name: str = "input") -> dict[str, Any]:
    """Return the JSON object that the flag of this name has, or the file that it names."""
    try:
        if text.startswith("@"):
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text(encoding="utf-8")
        value = json.loads(text)
        limits.check_payload(value, name)
    except json.JSONDecodeError as error:
        raise InputError(f"--{name} is not JSON: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--{name}: {error}") from error
    checked: dict[str, Any] = value
    return checked
