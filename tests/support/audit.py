"""Reads the API server's audit log: who wrote what."""

import json
from collections.abc import Iterator
from pathlib import Path

WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def writes_of_the_operator(log: Path, namespace: str) -> list[str]:
    """Return the operator's writes in a namespace in their order, as "verb resource/subresource name".

    Left out are its Lease and what it finds out about definitions, which no run pays for, and Events, which are bounded
    in time. kopf's own client counts too.
    """
    others = {"leases", "taskdefinitions", "events"}
    return [write for resource, write in _writes(log, namespace) if resource not in others]


def writes_of_definitions(log: Path, namespace: str) -> list[str]:
    """Return what the operator wrote to definitions in a namespace, in the same form."""
    return [write for resource, write in _writes(log, namespace) if resource == "taskdefinitions"]


def dry_runs_of_the_operator(log: Path, namespace: str) -> int:
    """Return how many times the operator has asked what the API server says to a pod of some definition."""
    entries = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if namespace in line)
    return sum(
        entry["verb"] == "create"
        and entry.get("objectRef", {}).get("namespace") == namespace
        and "dryRun" in entry["requestURI"]
        and entry.get("userAgent", "").startswith("podrelay-operator")
        for entry in entries
    )


def _writes(log: Path, namespace: str) -> Iterator[tuple[str, str]]:
    for line in log.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        target = entry.get("objectRef", {})
        agent = entry.get("userAgent", "")
        if entry["verb"] not in WRITES or target.get("namespace") != namespace or "dryRun" in entry["requestURI"]:
            continue
        if agent.startswith(("podrelay-operator", "kopf")):
            what = "/".join(part for part in (target["resource"], target.get("subresource")) if part)
            yield target["resource"], f"{entry['verb']} {what} {target.get('name', '')}".strip()
