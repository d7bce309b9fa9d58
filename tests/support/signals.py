"""Builds TaskSignals."""

from typing import Any

from dev.harness.manifests import Manifest
from podrelay.api import names

TASK_SIGNALS = "tasksignals.podrelay.dev"


def task_signal(
    name: str, run: str, signal: str, *, sender: str | None = None, payload: Any = None, **spec: Any
) -> Manifest:
    """Return a TaskSignal for a run."""
    metadata: Manifest = {"name": name}
    if sender is not None:
        metadata["annotations"] = {names.ANNOTATION_CREATED_BY: sender}
    given = {"taskRun": run, "signal": signal, **({} if payload is None else {"payload": payload}), **spec}
    return {"apiVersion": names.API_VERSION, "kind": "TaskSignal", "metadata": metadata, "spec": given}
