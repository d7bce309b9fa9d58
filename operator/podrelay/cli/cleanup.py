"""`podrelay cleanup`: removes Podrelay's finalizer from pods after the operator was removed."""

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import Final

import msgspec

from podrelay.api import names
from podrelay.api.errors import PodrelayError
from podrelay.kube import config
from podrelay.kube.api import LIST_TIMEOUT_SECONDS, Api
from podrelay.kube.client import Client
from podrelay.kube.errors import ConflictError, NotFoundError
from podrelay.kube.paging import pages
from podrelay.kube.resources import PODS

DESCRIPTION: Final = """
After the operator was removed: remove the finalizer podrelay.dev/answer from the pods of runs, so that they and their
namespaces can be deleted. Nothing is deleted, and running pods continue. Do not use it while an operator is running: a
pod that is then deleted before the operator has seen its answer may lose the answer.
"""
_AT_ONCE: Final = 16


class _Metadata(msgspec.Struct, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    finalizers: list[str] = []


class _Pod(msgspec.Struct):
    metadata: _Metadata


_decode = msgspec.json.Decoder(_Pod).decode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command to `parser`."""
    parser.description = DESCRIPTION
    parser.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, in a pod its service account")
    parser.add_argument("--context", help="context of the kubeconfig; default: its current one")
    parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        default=[],
        metavar="NAME",
        help="only the pods of this namespace; can be repeated; default: all namespaces",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the pods that would be released")


def run(arguments: argparse.Namespace) -> int:
    """Release the pods, and return the exit code 0.

    Raises:
        KubeConfigError: no cluster is configured.
        ApiError: the API server refused to list or patch pods.
    """
    try:
        asyncio.run(_run(arguments))
    except* PodrelayError as group:
        raise group.exceptions[0] from None
    return 0


async def _run(arguments: argparse.Namespace) -> None:
    connection = config.load(arguments.kubeconfig, arguments.context)
    async with Client(connection, "podrelay-cleanup") as client:
        for namespace in arguments.namespace or [None]:
            held = await _held_pods(client, namespace)
            if not arguments.dry_run:
                await _release_all(client, held)
            for about in held:
                print(f"pod/{about.name} in {about.namespace} {'would be ' if arguments.dry_run else ''}released")


async def _held_pods(client: Client, namespace: str | None) -> list[_Metadata]:
    params = {"labelSelector": names.LABEL_RUN}
    found: list[_Metadata] = []
    async for page in pages(client, PODS.path(namespace), params, LIST_TIMEOUT_SECONDS):
        found += (_decode(item).metadata for item in page.items)
    return [about for about in found if names.ANSWER_FINALIZER in about.finalizers]


async def _release_all(client: Client, held: list[_Metadata]) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(about: _Metadata) -> None:
        async with places:
            await _release(client, about)

    async with asyncio.TaskGroup() as tasks:
        for about in held:
            tasks.create_task(one(about))


async def _release(client: Api, about: _Metadata) -> None:
    """Remove the finalizer from one pod, even if other clients change the pod at the same time."""
    uid = about.uid
    with contextlib.suppress(NotFoundError):  # it is gone
        while about.uid == uid and names.ANSWER_FINALIZER in about.finalizers:
            others = [finalizer for finalizer in about.finalizers if finalizer != names.ANSWER_FINALIZER]
            patch = {"uid": uid, "resourceVersion": about.resource_version, "finalizers": others or None}
            try:
                await client.patch(PODS, about.namespace, about.name, {"metadata": patch})
            except ConflictError:
                about = _decode(await client.get(PODS, about.namespace, about.name)).metadata
            else:
                return
