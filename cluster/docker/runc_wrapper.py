"""Run runc, asking for one capability less than Docker wants.

Some sandboxes take CAP_SYS_RESOURCE away from everybody, root included. Then `docker run --privileged`, which grants
all capabilities, cannot succeed: nobody can grant what nobody has. This program stands in for runc as Docker's runtime
and takes that one capability out of what runc is about to read.

It is copied to where the private daemon finds it and run by a bare Python interpreter for each container and each
`docker exec`, so it imports little and nothing of this package.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CAPABILITY = "CAP_SYS_RESOURCE"


def settings_file(arguments: list[str]) -> Path | None:
    """The file that holds the capabilities of the process that runc is asked to start, if it is asked to."""
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
    """The same settings without the capability: a container's, which hold a process, or just a process's."""
    process = settings.get("process", settings)
    capabilities = process.get("capabilities")
    if capabilities:
        process["capabilities"] = {
            kind: [name for name in names if name != CAPABILITY] for kind, names in capabilities.items() if names
        }
    return settings


def main(arguments: list[str]) -> None:
    """Change the settings in place, then become runc."""
    path = settings_file(arguments)
    if path and path.exists():
        path.write_text(json.dumps(without_capability(json.loads(path.read_text()))))
    os.execvp("runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
