"""Query an API server by kubectl, with an explicit kubeconfig: never the user's own."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dev.cluster.errors import ClusterError
from dev.cluster.steps import ask
from dev.cluster.tools import tool

RESTART_SECONDS: Final = 30.0
"""How long an API server may take to start again."""


def kubectl(kubeconfig: Path, *arguments: str, timeout: float = 15) -> str | None:
    """Return the output of kubectl, or None if it fails."""
    return ask([tool("kubectl"), "--kubeconfig", kubeconfig, *arguments], timeout=timeout)


def answers(kubeconfig: Path, path: str = "/readyz", timeout: float = 3) -> bool:
    """Return whether the API server responds and is ready."""
    return kubectl(kubeconfig, "get", "--raw", path, f"--request-timeout={timeout}s", timeout=timeout + 2) is not None


def answers_soon(kubeconfig: Path, seconds: float = RESTART_SECONDS) -> bool:
    """Return whether the API server responds in time: its nodes run, so it may be starting again."""
    try:
        wait_for("API server", lambda: answers(kubeconfig), seconds)
    except ClusterError:
        return False
    return True


def version(kubeconfig: Path) -> str | None:
    """Return the version of the API server."""
    answer = kubectl(kubeconfig, "get", "--raw", "/version", "--request-timeout=10s")
    return str(json.loads(answer)["gitVersion"]) if answer else None


def wait_for(
    what: str, ready: Callable[[], bool], seconds: float, *, still_possible: Callable[[], object] = bool
) -> None:
    """Wait until `ready` returns true; `still_possible` raises as soon as that can no longer happen."""
    deadline = time.monotonic() + seconds
    while not ready():
        still_possible()
        if time.monotonic() > deadline:
            raise ClusterError(f"After {seconds:.0f} s there was still no {what}.")
        time.sleep(0.1)
