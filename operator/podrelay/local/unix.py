"""HTTP over a Unix socket, on the side of the container. Standard library only, like everything the runner imports."""

import http.client
import socket
from pathlib import Path
from typing import Final

TOKEN_FILE: Final = "token"  # noqa: S105 - a file's name
SOCKET_FILE: Final = "api.sock"


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket.

    Args:
        path: the socket.
        timeout: seconds.
    """

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the connection.

        Raises:
            OSError: no process listens on the socket.
        """
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
