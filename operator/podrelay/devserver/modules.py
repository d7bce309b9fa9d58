"""Makes TaskDefinitions of modules, and makes them again whenever a file changes.

While a file of a module has an error, or a changed module is being loaded, its pods wait, as with an image that cannot
be pulled. So an error in a file fails no run.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from watchfiles import PythonFilter, awatch

from podrelay.api import names
from podrelay.api.phases import FINISHED
from podrelay.kube.errors import ApiError, NotFoundError
from podrelay.local.container import ENV_FOLDER
from podrelay.local.memory_api import MemoryApi

ANNOTATION_MODULE: Final = f"{names.GROUP}/dev-module"
IMPORT_SECONDS: Final = 60.0
"""How long the import of a module may take."""
_SLOW_SECONDS: Final = 10.0
_CHECK_MILLISECONDS: Final = 1000
_RETRY_SECONDS: Final = 1.0
_CHECKING: Final = "the changed module is being loaded"


class Listener(Protocol):
    """Receives news about modules."""

    def defined(self, module: str, definitions: list[str], problems: list[str]) -> None:
        """A module was loaded: the names of its definitions, and what is wrong with it."""

    def problem(self, message: str) -> None:
        """Something is wrong."""


class Modules:
    """The modules of one `podrelay dev`.

    Args:
        references: the modules, as the user names them.
        api: where the definitions are stored.
        namespace: their namespace.
        listener: is notified of each module that was loaded.
        ready: called when pods that have waited may start.
        folder: the folder by which the next start finds what is left of this process.
    """

    def __init__(
        self,
        references: Sequence[str],
        api: MemoryApi,
        namespace: str,
        listener: Listener,
        ready: Callable[[], None],
        folder: Path,
    ) -> None:
        self._references = tuple(dict.fromkeys(references))
        self._api = api
        self._namespace = namespace
        self._listener = listener
        self._ready = ready
        self._folder = folder
        self._problems: dict[str, str] = dict.fromkeys(self._references, _CHECKING)
        self._loaded_at: dict[str, float] = {}
        self._newest: dict[str, float] = {}
        # Until a module could be imported, it is looked for in the current folder.
        self._files = dict.fromkeys(self._references, frozenset({Path.cwd() / "module.py"}))

    def obstacle(self, reference: str) -> str | None:
        """Return why MODULE:CLASS cannot be run now; None if it can. May be called by any thread."""
        return self._problems.get(reference.partition(":")[0])

    async def load(self) -> None:
        """Load all modules."""
        await asyncio.gather(*map(self._load, self._references))
        self._forget_others()

    async def follow(self) -> None:
        """Load modules again when their files change, until cancelled."""
        while self._references:
            try:
                await self._follow()
            except OSError as error:  # a folder has vanished
                self._listener.defined("", [], [f"changes of files are not seen: {error}"])
                await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        """Load modules again when their files change, until other folders have to be watched."""
        folders = self._folders()
        existing = [folder for folder in folders if folder.is_dir()] or [Path.cwd()]
        watch = awatch(
            *existing,
            watch_filter=PythonFilter(),
            recursive=False,
            step=20,
            debounce=200,
            rust_timeout=_CHECK_MILLISECONDS,
            yield_on_timeout=True,
        )
        async for changes in watch:
            # A new file next to a module may be the one whose import has failed.
            changed = {Path(path).parent for _, path in changes}
            concerned = [name for name, files in self._files.items() if changed & {file.parent for file in files}]
            concerned += [name for name in self._files if name not in concerned and self._is_outdated(name)]
            for name in concerned:
                self._problems[name] = _CHECKING
            await asyncio.gather(*map(self._load, concerned))
            if self._folders() != folders:
                return

    def _is_outdated(self, reference: str) -> bool:
        """Return whether a file has changed since the module began to load: perhaps before its folder was watched."""
        newest = max((_changed_at(file) for file in self._files[reference]), default=0.0)
        # A file from the future counts once.
        return self._loaded_at.get(reference, newest) < newest != self._newest.get(reference)

    def _folders(self) -> set[Path]:
        return {file.parent for files in self._files.values() for file in files}

    async def _load(self, reference: str) -> None:
        self._newest[reference] = max((_changed_at(file) for file in self._files[reference]), default=0.0)
        self._loaded_at[reference] = time.time()
        slow = asyncio.get_running_loop().call_later(
            _SLOW_SECONDS,
            self._listener.problem,
            f"{reference} is still being imported after {_SLOW_SECONDS:g} s; what it does at import must end",
        )
        try:
            described = await _described(reference, self._folder)
        finally:
            slow.cancel()
        if described["files"]:
            self._files[reference] = frozenset(map(Path, described["files"]))
        problems: list[str] = described["problems"]
        for manifest in described["manifests"]:
            try:
                self._apply(reference, manifest)
            except ApiError as error:
                problems.append(f"{manifest['spec']['id']}: {error.message}")
        definitions = [manifest["metadata"]["name"] for manifest in described["manifests"]]
        if described["manifests"]:
            self._problems.pop(reference, None)
        else:
            self._problems[reference] = "; ".join(problems)
        self._listener.defined(reference, definitions, problems)
        self._ready()

    def _apply(self, reference: str, manifest: dict[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        annotations = {ANNOTATION_MODULE: reference}
        try:
            before = self._api.get(names.TASK_DEFINITIONS, self._namespace, name)
        except NotFoundError:
            body = manifest | {"metadata": {"name": name, "annotations": annotations}}
            self._api.create(names.TASK_DEFINITIONS, self._namespace, body)
            return
        metadata = before["metadata"]
        metadata = metadata | {"annotations": (metadata.get("annotations") or {}) | annotations}
        del metadata["resourceVersion"]
        self._api.replace(names.TASK_DEFINITIONS, self._namespace, name, manifest | {"metadata": metadata})

    def _forget_others(self) -> None:
        """Delete definitions of modules that are no longer named, unless one of their runs is unfinished."""
        busy = {
            run["spec"]["definition"]
            for run in self._api.find(names.TASK_RUNS, self._namespace).items
            if run["status"].get("phase") not in FINISHED
        }
        for item in self._api.find(names.TASK_DEFINITIONS, self._namespace).items:
            module = (item["metadata"].get("annotations") or {}).get(ANNOTATION_MODULE)
            if module is None or module in self._references or item["metadata"]["name"] in busy:
                continue
            with contextlib.suppress(NotFoundError):
                self._api.delete(names.TASK_DEFINITIONS, self._namespace, item["metadata"]["name"])


def _changed_at(file: Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0


async def _described(reference: str, folder: Path) -> dict[str, Any]:
    """Return the description of a module, see `describe`; one that cannot be imported has only problems."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "podrelay.devserver.describe",
        reference,
        env=os.environ | {ENV_FOLDER: str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C must reach only this process
    )
    try:
        async with asyncio.timeout(IMPORT_SECONDS):
            output, errors = await process.communicate()
        described: dict[str, Any] = json.loads(output)
    except TimeoutError:
        described = _failed(reference, f"this takes longer than {IMPORT_SECONDS:g} s, so it was stopped")
    except ValueError:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
        described = _failed(reference, last[0])
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended, and left no process behind
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return described


def _failed(reference: str, why: str) -> dict[str, Any]:
    return {"manifests": [], "problems": [f"cannot import {reference}: {why}"], "files": []}
