"""Argo CD's health checks of docs/argocd.md, run by a real Lua of the version in Argo CD (5.1)."""

from pathlib import Path
from typing import Any

import yaml
from lupa.lua51 import LuaRuntime

from dev.harness.kubectl import Manifest

PAGE = Path(__file__).parents[2] / "docs" / "argocd.md"
STATES = {"Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"}
LIBRARIES_THAT_ARGO_CD_LEAVES_OUT = ("string", "math", "io", "debug", "coroutine")


def health(obj: Manifest) -> tuple[str, str]:
    """Return status and message that Argo CD shows for an object."""
    lua = LuaRuntime()
    for library in LIBRARIES_THAT_ARGO_CD_LEAVES_OUT:
        lua.globals()[library] = None
    lua.globals().obj = lua.table_from(obj, recursive=True)
    answer: Any = lua.execute(scripts()[obj["kind"]])
    assert answer.status in STATES
    return answer.status, answer.message


def scripts() -> dict[str, str]:
    """Return the scripts by kind, from the ConfigMap on the page."""
    _, block = PAGE.read_text(encoding="utf-8").split("```yaml\n", 1)
    data = yaml.safe_load(block.split("```", 1)[0])["data"]
    prefix = "resource.customizations.health.podrelay.dev_"
    return {key.removeprefix(prefix): script for key, script in data.items()}
