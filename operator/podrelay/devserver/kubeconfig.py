"""The kubeconfig of `podrelay dev`: it exists as long as the process, and two processes never share one."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from podrelay.api.errors import PodrelayError

_CONTEXT: Final = "podrelay-dev"
_ADVICE: Final = "choose another file with --kubeconfig"


class KubeconfigError(PodrelayError):
    """The file cannot be used; the message says why."""


@contextlib.contextmanager
def written(file: Path, server: str, namespace: str) -> Iterator[None]:
    """Write the kubeconfig, for this user only, and remove it at the end.

    Args:
        file: its path; a folder that does not exist is created, and hidden from Git.
        server: URL of the API server.
        namespace: the default namespace.

    Raises:
        KubeconfigError: it is in use, is the kubeconfig of something else, or cannot be written.
    """
    try:
        opened = _open(file)
    except OSError as error:
        raise KubeconfigError(
            f"the kubeconfig {file} cannot be written ({os.strerror(error.errno or 0)}); {_ADVICE}"
        ) from error
    with opened:
        if not _is_own(opened.read()):
            raise KubeconfigError(f"{file} exists, and is not from `podrelay dev`, so it is kept; {_ADVICE}")
        os.fchmod(opened.fileno(), 0o600)
        opened.seek(0)
        opened.truncate()
        opened.write(json.dumps(_document(server, namespace), indent=2) + "\n")  # JSON is YAML
        opened.flush()
        try:
            yield
        finally:
            file.unlink(missing_ok=True)


def _open(file: Path) -> TextIO:
    """Return the file, locked until it is closed."""
    if not file.parent.exists():
        file.parent.mkdir(parents=True)
        (file.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        opened = os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            opened.close()
            raise KubeconfigError(f"{file} is in use by another `podrelay dev`: end it, or {_ADVICE}") from error
        if os.fstat(descriptor).st_nlink:
            return opened
        opened.close()  # another process has just ended, and removed it


def _is_own(text: str) -> bool:
    """Return whether a file is new, or was left behind by a process that was killed."""
    if not text:
        return True
    try:
        return bool(json.loads(text)["current-context"] == _CONTEXT)
    except (ValueError, TypeError, KeyError):
        return False


def _document(server: str, namespace: str) -> dict[str, object]:
    context = {"cluster": _CONTEXT, "user": _CONTEXT, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _CONTEXT, "cluster": {"server": server}}],
        "users": [{"name": _CONTEXT, "user": {}}],
        "contexts": [{"name": _CONTEXT, "context": context}],
        "current-context": _CONTEXT,
    }
