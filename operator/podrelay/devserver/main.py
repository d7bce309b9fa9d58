"""`podrelay dev`: runs the relay, and shows what happens on the terminal or as JSON."""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import signal
import sys
import threading
from typing import Any, Protocol

import uvloop

from podrelay import logs
from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.cli.narration import Narrator
from podrelay.cli.screen import Screen
from podrelay.devserver.relay import Addresses, Listener, Relay
from podrelay.gateway.event_loop import garbage
from podrelay.gateway.main import NESTING
from podrelay.local.history import Event


class Display(Listener, Protocol):
    """Shows what happens."""

    def ready(self, addresses: Addresses) -> None:
        """The relay can be used."""

    def stopping(self) -> None:
        """The relay is being stopped, and waits for its pods."""


def run(arguments: argparse.Namespace) -> int:
    """Run the relay until SIGTERM or SIGINT; return the exit code: 0 after a signal, 1 otherwise."""
    display: Display = JsonDisplay() if arguments.output == "json" else TextDisplay(is_quiet=arguments.quiet)
    _configure_logs(display, is_verbose=arguments.verbose)
    sys.setrecursionlimit(NESTING)
    gc.set_threshold(*garbage.THRESHOLDS)
    try:
        return uvloop.run(_run(arguments, display))
    except (PodrelayError, OSError) as error:
        print(f"podrelay dev: {error}", file=sys.stderr)
        return 1


async def _run(arguments: argparse.Namespace, display: Display) -> int:
    relay, stop = Relay(arguments, display), asyncio.Event()

    def interrupt() -> None:
        if stop.is_set():
            relay.kill()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)

    async def work() -> None:
        async with relay.running():
            display.ready(relay.addresses)
            await relay.wait()

    working, stopping = asyncio.create_task(work()), asyncio.create_task(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not working.done():  # it may still be starting
        display.stopping()
        working.cancel()
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return 0


def _configure_logs(display: Display, *, is_verbose: bool) -> None:
    if is_verbose:
        logs.configure(as_json=False, verbose=False)
        return

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            display.problem(record.getMessage())

    logging.basicConfig(level=logging.WARNING, handlers=[Handler()], force=True)


class TextDisplay:
    """Shows it as lines of text on stderr, with a live line on a terminal.

    Args:
        is_quiet: whether to show only addresses and problems.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        self._screen = Screen(sys.stderr, is_live=sys.stderr.isatty() and not is_quiet)
        self._narrator = None if is_quiet else Narrator(self._screen, "")

    def ready(self, addresses: Addresses) -> None:
        """Show the addresses."""
        lines = [f"dashboard    {addresses.gateway}/"] if addresses.has_dashboard else []
        lines.append(f"GraphQL      {addresses.gateway}/graphql")
        if addresses.has_graphiql:
            lines.append(f"GraphiQL     {addresses.gateway}/graphiql")
        lines += [f"kubeconfig   export KUBECONFIG={addresses.kubeconfig}", "Ctrl-C ends everything."]
        for line in lines:
            self._screen.line(line)

    def stopping(self) -> None:
        """Show that the pods have some time to end."""
        self._screen.line("stopping; press Ctrl-C again to kill the pods")

    def problem(self, message: str) -> None:
        """Show a problem."""
        self._screen.line(f"! {message}")

    def defined(self, module: str, definitions: list[str], problems: list[str]) -> None:
        """Show the definitions of a module, and what is wrong with it."""
        if definitions:
            self._screen.line(f"{module}: {', '.join(definitions)}")
        for problem in problems:
            self._screen.line(f"! {problem}")

    def changed(self, event: Event) -> None:
        """Show what happens to runs."""
        if self._narrator is not None:
            self._narrator.changed(event)

    def printed(self, pod: str, line: str) -> None:
        """Show a line that a pod has printed."""
        if self._narrator is not None:
            self._narrator.printed(pod, line)


class JsonDisplay:
    """Shows it as JSON on stdout, one object a line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: dict[str, Any] = {}

    def ready(self, addresses: Addresses) -> None:
        """Show the addresses."""
        self._line(
            "ready", graphql=f"{addresses.gateway}/graphql", api=addresses.api, kubeconfig=str(addresses.kubeconfig)
        )

    def stopping(self) -> None:
        """Show that the relay is being stopped."""
        self._line("stopping")

    def problem(self, message: str) -> None:
        """Show a problem."""
        self._line("problem", message=message)

    def defined(self, module: str, definitions: list[str], problems: list[str]) -> None:
        """Show the definitions of a module."""
        self._line("module", module=module, definitions=definitions, problems=problems)

    def changed(self, event: Event) -> None:
        """Show each phase and reason of a run."""
        if event.plural != names.TASK_RUNS:
            return
        about, status = event.object["metadata"], event.object.get("status") or {}
        key = f"{about['namespace']}/{about['name']}"
        state = (status.get("phase"), status.get("reason"), event.is_deletion)
        if self._shown.get(key) == state or (state[0] is None and not event.is_deletion):
            return
        self._shown[key] = state
        if event.is_deletion:
            self._shown.pop(key)
        shown = {name: status[name] for name in ("phase", "reason", "message") if name in status}
        self._line("deleted" if event.is_deletion else "run", namespace=about["namespace"], name=about["name"], **shown)

    def printed(self, pod: str, line: str) -> None:
        """Show a line that a pod has printed."""
        self._line("output", pod=pod, line=line)

    def _line(self, event: str, **fields: Any) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            print(json.dumps({"event": event, **fields}, ensure_ascii=False), flush=True)
