"""A renewed certificate is served without a restart, and an invalid one does no harm; with real TLS."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from podrelay.gateway.http.certificates import Certificate

NAME = "gateway.test"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def write(pair: trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    """Write a certificate and its key to the files that a Secret has."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    pair.cert_chain_pems[0].write_to_path(certificate)
    pair.private_key_pem.write_to_path(key)
    return certificate, key


@contextlib.asynccontextmanager
async def served(certificate: Certificate) -> AsyncIterator[int]:
    """Run a server with this certificate; yield its port."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=certificate.context) as server:
        yield server.sockets[0].getsockname()[1]


async def serial_number(port: int, authority: trustme.CA) -> str:
    """Return the serial number of the certificate of a new connection, after verifying it."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=NAME)
    found: str = writer.get_extra_info("peercert")["serialNumber"]
    writer.close()
    return found


async def test_a_renewed_certificate_is_served_to_new_connections(authority: trustme.CA, tmp_path: Path) -> None:
    certificate = Certificate(*write(authority.issue_cert(NAME), tmp_path))
    async with served(certificate) as port:
        first = await serial_number(port, authority)
        write(authority.issue_cert(NAME), tmp_path)
        keeping = asyncio.create_task(certificate.keep_current(every=0.01))
        async with asyncio.timeout(10):
            while await serial_number(port, authority) == first:
                pass
        keeping.cancel()


async def test_a_mismatched_pair_is_logged_and_the_previous_one_still_served(
    authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = Certificate(*write(authority.issue_cert(NAME), tmp_path))
    new = authority.issue_cert(NAME)
    async with served(certificate) as port:
        first = await serial_number(port, authority)
        new.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")  # its key is still missing
        with caplog.at_level(logging.WARNING):
            certificate.refresh()
        assert "the previous one is still served" in caplog.text
        assert await serial_number(port, authority) == first

        new.private_key_pem.write_to_path(tmp_path / "tls.key")
        certificate.refresh()
        assert await serial_number(port, authority) != first


def test_files_that_are_not_a_pair_are_refused_at_the_start(authority: trustme.CA, tmp_path: Path) -> None:
    certificate, key = write(authority.issue_cert(NAME), tmp_path)
    authority.issue_cert(NAME).private_key_pem.write_to_path(key)

    with pytest.raises(ssl.SSLError, match="MISMATCH"):
        Certificate(certificate, key)
    with pytest.raises(FileNotFoundError, match="missing"):
        Certificate(tmp_path / "missing", key)
