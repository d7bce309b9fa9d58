"""The operator as a separate process, as the chart starts it: with log level INFO."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.polling import until
from dev.harness.chart import RELEASE_NAMESPACE

_PODRELAY: Final = Path(sys.executable).with_name("podrelay")
_PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator that is the leader and has filled its caches.

    Attributes:
        pid: its process id.
        log: the file with its output.
        ready_seconds: the time from the start of the process until it was ready.
    """

    pid: int
    log: Path
    ready_seconds: float


@asynccontextmanager
async def operator(
    kubeconfig: Path, log: Path, namespaces: tuple[str, ...] = (), more: tuple[str, ...] = ()
) -> AsyncIterator[Operator]:
    """Run the operator for these namespaces, with `more` flags; without namespaces, for all.

    Raises:
        BenchmarkError: it did not become ready, or it ended by itself.
    """
    flags = [f"--kubeconfig={kubeconfig}", f"--lease-namespace={RELEASE_NAMESPACE}", "--listen=127.0.0.1:0", *more]
    flags += [f"--namespace={namespace}" for namespace in namespaces]
    started = time.perf_counter()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(_PODRELAY, "operator", *flags, stdout=output, stderr=output)
    try:
        ready = partial(_is_ready, process, log)
        await until(f"the operator is ready; see {log}", ready, _PATIENCE_SECONDS, every=0.01)
        yield Operator(process.pid, log, time.perf_counter() - started)
        if process.returncode is not None:
            raise BenchmarkError(f"the operator ended by itself; see {log}")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _is_ready(process: asyncio.subprocess.Process, log: Path) -> bool:
    if process.returncode is not None:
        raise BenchmarkError(f"the operator ended by itself; see {log}")
    text = await asyncio.to_thread(log.read_text, encoding="utf-8")
    return "caches filled" in text and "leading" in text
