"""Run runc with one capability less than Docker requests.

Some sandboxes remove CAP_SYS_RESOURCE from all users, including root. `docker run --privileged`, which grants all
capabilities, then fails, because a process cannot grant a capability that it does not have. Docker runs this program as
its runtime instead of runc; it removes that capability from the settings that runc is about to read.

The private daemon runs a copy of this file with a bare Python interpreter for each container and each `docker exec`, so
it imports little, and nothing of this package.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CAPABILITY = "CAP_SYS_RESOURCE"


def settings_file(arguments: list[str]) -> Path | None:
    """Return the file with the capabilities of the process that runc must start, or None if it starts none."""
    bundle, process, command = ".", None, None
    previous = ""
    for argument in arguments:
        option, _, value = argument.partition("=")
        if previous in ("--bundle", "-b"):
            bundle = argument
        elif previous in ("--process", "-p"):
            process = argument
        elif option == "--bundle":
            bundle = value or bundle
        elif option == "--process":
            process = value or process
        elif command is None and argument in ("create", "run", "exec"):
            command = argument
        previous = argument
    if command in ("create", "run"):
        return Path(bundle) / "config.json"
    return Path(process) if process and command == "exec" else None


def without_capability(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings without the capability: those of a container, which include a process, or of a process."""
    process = settings.get("process", settings)
    capabilities = process.get("capabilities")
    if capabilities:
        process["capabilities"] = {
            kind: [name for name in names if name != CAPABILITY] for kind, names in capabilities.items() if names
        }
    return settings


def main(arguments: list[str]) -> None:
    """Change the settings in place, then run runc in this process."""
    path = settings_file(arguments)
    if path and path.exists():
        path.write_text(json.dumps(without_capability(json.loads(path.read_text()))))
    os.execvp("runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
