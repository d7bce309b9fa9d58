"""The certificate of the gateway, reloaded when it is renewed."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 30.0
"""The kubelet itself takes about a minute to write a changed Secret into a pod."""


class Certificate:
    """A certificate and its key in two files, which for example cert-manager renews.

    Args:
        certificate: PEM file with the certificate and the intermediate certificates.
        key: PEM file with its key.

    Attributes:
        context: for a server; has the newest valid pair.

    Raises:
        OSError: a file cannot be read, or (ssl.SSLError) the files are not a certificate and its key.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamp()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate, key)

    async def keep_current(self, every: float = CHECK_SECONDS) -> None:
        """Check for new files every `every` seconds, until cancelled; new connections use them."""
        while True:
            await asyncio.sleep(every)
            self.refresh()

    def refresh(self) -> None:
        """Load the files if they have changed. If they are invalid, log it and keep the previous pair."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            # First into a separate context: an invalid pair could leave the served context half changed.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self._certificate, self._key)
            self.context.load_cert_chain(self._certificate, self._key)
        except OSError as error:
            log.warning(
                "the new certificate is invalid, the previous one is still served",
                extra={"file": str(self._certificate), "error": str(error)},
            )
            return
        self._seen = stamp
        log.info("new certificate loaded", extra={"file": str(self._certificate)})

    def _stamp(self) -> tuple[int, ...]:
        """Return a value that changes when a file is written or replaced."""
        files = [path.stat() for path in (self._certificate, self._key)]
        return tuple(value for file in files for value in (file.st_ino, file.st_mtime_ns, file.st_size))
