"""The certificate that the gateway serves, and the one that replaces it before it expires."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 30.0
"""The kubelet itself takes about a minute to write a changed Secret into a pod."""


class Certificate:
    """A certificate and its key in two files, which somebody such as cert-manager renews.

    Args:
        certificate: PEM file with the certificate and those between it and its authority.
        key: PEM file with its key.

    Attributes:
        context: for a server; always has the newest pair that could be used.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) the two are no certificate and its key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamp()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate, key)

    async def keep_current(self, every: float = CHECK_SECONDS) -> None:
        """Look for new files every so many seconds, until cancelled; new connections get what they hold."""
        while True:
            await asyncio.sleep(every)
            self.refresh()

    def refresh(self) -> None:
        """Take the files if they have changed. Ones that cannot be used are logged, and the pair before them stays."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            # First into a context of its own: in the one that is served, half a pair would stay behind.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except OSError as error:
            log.warning(
                "the new certificate cannot be used, the one before is served on",
                extra={"file": str(self._certificate), "error": str(error)},
            )
            return
        self._seen = stamp
        log.info("a new certificate is served", extra={"file": str(self._certificate)})

    def _stamp(self) -> tuple[int, ...]:
        """Return what differs when a file has been written or replaced."""
        files = [path.stat() for path in (self._certificate, self._key)]
        return tuple(value for file in files for value in (file.st_ino, file.st_mtime_ns, file.st_size))
