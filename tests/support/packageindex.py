"""A package index for tests, over plain HTTP, for containers that reach this host but not the real index."""

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name


class _Files(SimpleHTTPRequestHandler):
    """Serves folders as lists of links, the format that pip reads."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@contextmanager
def package_index(folder: Path, requirements: Path) -> Iterator[int]:
    """Serve the packages of a file with hashes, downloaded by pip of this host; yield the port, on all addresses.

    Args:
        folder: The folder for the packages.
        requirements: The file with the requirements.
    """
    simple = folder / "simple"
    simple.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    subprocess.run([*pip, f"--dest={folder}", f"--requirement={requirements}"], check=True, timeout=300)
    for wheel in folder.glob("*.whl"):
        place = simple / canonicalize_name(wheel.name.partition("-")[0])
        place.mkdir(exist_ok=True)
        wheel.rename(place / wheel.name)
    with ThreadingHTTPServer(("", 0), functools.partial(_Files, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
