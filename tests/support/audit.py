"""Reads writes of the operator from the API server's audit log."""

import json
import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def writes_of_the_operator(log: Path, namespace: str) -> list[str]:
    """Return the operator's writes in a namespace in order, as "verb resource/subresource name".

    Writes of its Lease and of the status of definitions are omitted because runs do not cause them, and Events because
    their rate is limited. Writes of kopf's own client are included.
    """
    others = {"leases", "taskdefinitions", "events"}
    return [write for resource, write in _writes(log, namespace) if resource not in others]


def writes_of_definitions(log: Path, namespace: str) -> list[str]:
    """Return the operator's writes to definitions in a namespace, in the same form."""
    return [write for resource, write in _writes(log, namespace) if resource == "taskdefinitions"]


def dry_runs_of_the_operator(log: Path, namespace: str) -> int:
    """Return the number of the operator's dry runs that check the pods of definitions."""
    return sum(
        entry["verb"] == "create"
        and "dryRun" in entry["requestURI"]
        and entry.get("userAgent", "").startswith("podrelay-operator")
        for entry in _entries(log, namespace)
    )


def refused_pods(log: Path, namespace: str) -> int:
    """Return how many of the operator's requests to create a pod were refused."""
    return sum(
        entry["verb"] == "create"
        and entry["objectRef"]["resource"] == "pods"
        and entry.get("userAgent", "").startswith("podrelay-operator")
        and "dryRun" not in entry["requestURI"]
        and entry["responseStatus"]["code"] >= 400
        for entry in _entries(log, namespace)
    )


def _writes(log: Path, namespace: str) -> Iterator[tuple[str, str]]:
    for entry in _entries(log, namespace):
        target, agent = entry["objectRef"], entry.get("userAgent", "")
        if entry["verb"] not in WRITES or "dryRun" in entry["requestURI"]:
            continue
        if agent.startswith(("podrelay-operator", "kopf")):
            what = "/".join(part for part in (target["resource"], target.get("subresource")) if part)
            yield target["resource"], f"{entry['verb']} {what} {target.get('name', '')}".strip()


def _entries(log: Path, namespace: str) -> Iterator[dict[str, Any]]:
    """Yield the entries about objects of a namespace; the log has the requests of all tests."""
    with log.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        place = text.find(namespace.encode())
        while place >= 0:
            end = text.find(b"\n", place)
            if end < 0:
                return  # the line is still being written
            entry = json.loads(text[text.rfind(b"\n", 0, place) + 1 : end])
            if entry.get("objectRef", {}).get("namespace") == namespace:
                yield entry
            place = text.find(namespace.encode(), end)
