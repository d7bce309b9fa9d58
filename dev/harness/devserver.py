"""`podrelay dev` as a separate process, with its output as events."""

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from dev.cluster.tools import tool
from dev.harness import forked
from dev.harness.kubectl import Kubectl
from dev.harness.waiting import eventually

USER = "podrelay-dev"
"""The only user."""


@dataclass
class DevServer:
    """The relay on this computer.

    Attributes:
        folder: the folder for its kubeconfig and its output.
        place: its current folder; default: the same.
        modules: the modules with tasks.
        flags: further flags.
        environment: additional environment variables.
    """

    folder: Path
    modules: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    place: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self.stop()
        if error is not None:
            print(self.text)  # pytest shows it with the failure

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / f"dev-{len(list(self.folder.glob('dev-*.log')))}.log"
        flags = ("--port=0", f"--kubeconfig={self.kubeconfig}", "--output=json", *self.flags)
        arguments = ["dev", *self.modules, *flags]
        environment, place = os.environ | self.environment, self.place or self.folder
        self.process = forked.podrelay(arguments, environment, self.log, folder=place)
        eventually("podrelay dev is ready", lambda: self.process.poll() is not None or self.events("ready"))
        assert self.process.poll() is None, self.text

    @property
    def text(self) -> str:
        """Its output."""
        return self.log.read_text(encoding="utf-8")

    def events(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        """Return the events that it has printed, with these values."""
        found = []
        for line in self.text.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if event["event"] == kind and all(event.get(key) == value for key, value in wanted.items()):
                    found.append(event)
        return found

    @property
    def address(self) -> str:
        """The host:port of the gateway."""
        url: str = self.events("ready")[-1]["graphql"]
        return url.removeprefix("http://").removesuffix("/graphql")

    def kubectl(self) -> Kubectl:
        """Return kubectl for it, in the namespace default."""
        env = os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{tool('kubectl').parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "KUBECACHEDIR": str(self.folder / "cache"),
            "KUBECTL_KUBERC": "false",
            "GOGC": "off",
            "BARE_KUBECONFIG": str(self.kubeconfig),
        }
        namespace = yaml.safe_load(self.kubeconfig.read_text())["contexts"][0]["context"]["namespace"]
        return Kubectl(self.kubeconfig, env, namespace)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)

    def stop(self) -> None:
        """Send SIGINT, and wait for its end."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
            raise AssertionError(f"podrelay dev did not stop:\n{self.text}") from None
