"""Describes a module in a process of its own, because a module can be imported only once in each.

`python -m podrelay.devserver.describe MODULE` prints a JSON object: `manifests` (the TaskDefinitions), `problems`
(sentences), and `files` (the module and what it imports from outside of installed packages).
"""

import contextlib
import json
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any, Final

from podrelay.api.errors import PodrelayError
from podrelay.cli.manifests import manifest
from podrelay.sdk import loading

IMAGE: Final = "localhost/podrelay-dev"


def describe(reference: str) -> dict[str, Any]:
    """Return the description of a module."""
    problems: list[str] = []
    manifests = []
    try:
        module = loading.load_module(reference)
        classes = loading.definitions_of(module)
        if not classes:
            problems.append(
                f"{reference} has no task definition; add a class to it: class MyTask(podrelay.TaskDefinition)"
            )
        for item in classes:
            try:
                manifests.append(manifest(item, reference, IMAGE))
            except PodrelayError as error:
                problems.append(str(error))
    except PodrelayError as error:
        problems.append(f"{error}{_where(error)}")
    return {"manifests": manifests, "problems": problems, "files": _files(reference)}


def _where(error: BaseException) -> str:
    """Return the line of the module that has raised the error, if there is one."""
    cause = error.__cause__
    if cause is None or isinstance(cause, SyntaxError):
        return ""  # the message has it
    last = [frame for frame in traceback.extract_tb(cause.__traceback__) if _is_own(frame.filename)][-1:]
    return f" ({last[0].filename}, line {last[0].lineno})" if last else ""


def _files(reference: str) -> list[str]:
    own = [reference] if loading.is_file(reference) else []
    loaded = [str(getattr(module, "__file__", None) or "") for module in sys.modules.values()]
    return sorted({str(Path(file).resolve()) for file in (*own, *filter(_is_own, loaded))})


def _is_own(file: str) -> bool:
    here = Path(__file__).parents[1]
    installed = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    path = Path(file)
    return path.is_absolute() and not any(path.is_relative_to(folder) for folder in (here, *installed))


def main() -> None:
    """Print the description of the module that the argument names."""
    with contextlib.redirect_stdout(sys.stderr):  # the module's own output does not belong to it
        description = describe(sys.argv[1])
    print(json.dumps(description))


if __name__ == "__main__":
    main()
