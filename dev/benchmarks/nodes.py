"""Nodes that kwok simulates."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.polling import until
from dev.cluster.tools import tool
from podrelay.kube.client import Client
from podrelay.kube.resources import Resource

NODES: Final = Resource("", "v1", "nodes")
NUMBER: Final = 4
LABELS: Final = {"bench.podrelay.dev/node": "kwok"}
_SETTINGS: Final = Path(__file__).with_name("kwok.yaml")


@asynccontextmanager
async def kwok(client: Client, kubeconfig: Path, folder: Path) -> AsyncIterator[int]:
    """Run kwok with its nodes; yield its process id.

    Raises:
        BenchmarkError: the nodes did not become ready.
    """
    program = await asyncio.to_thread(tool, "kwok")
    names = [f"kwok-{number}" for number in range(NUMBER)]
    log = folder / "kwok.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config={_SETTINGS}",
            f"--kubeconfig={kubeconfig}",
            env=os.environ | {"KWOK_WORKDIR": str(folder)},  # ignore the user's own configuration of kwok
            stdout=output,
            stderr=output,
        )
    try:
        for name in names:
            node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": LABELS}}
            await client.request("POST", NODES.path(), body=node)
        for name in names:
            await until(f"{name} is ready; see {log}", partial(_is_schedulable, client, name, process))
        yield process.pid
    finally:
        if process.returncode is None:  # before the requests below: it must end even if the API server is unreachable
            process.terminate()
            await process.wait()
        for name in names:
            await client.request("DELETE", NODES.path(name=name))


async def _is_schedulable(client: Client, name: str, process: asyncio.subprocess.Process) -> bool:
    if process.returncode is not None:
        raise BenchmarkError("kwok has ended by itself")
    node = msgspec.json.decode(await client.request("GET", NODES.path(name=name)))
    conditions = node["status"].get("conditions", ())
    return not node["spec"].get("taints") and any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
