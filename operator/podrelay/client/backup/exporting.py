"""Writes a backup: everything of a namespace as it was at one moment, page by page."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from podrelay.api import names
from podrelay.client.backup import END, FORMAT, HEADER, KINDS, BackupError
from podrelay.client.errors import NotFoundError
from podrelay.client.resources import ExpiredError, Query, Resource, Resources


def export(resources: Resources, namespace: str, now: datetime | None = None) -> Iterator[Resource]:
    """Yield the objects of an export, including header and end; at most one page of them is in memory.

    Args:
        resources: the API server.
        namespace: the namespace to export.
        now: the time in the header (aware).

    Raises:
        BackupError: it took so long that the API server no longer knows the moment; the export is cut off.
        RequestRefusedError: the request is forbidden.
        ApiUnavailableError: the API server is unavailable, even after retries.
    """
    moment: str | None = None
    counts: Counter[str] = Counter()
    try:
        for kind, plural in KINDS.items():
            for page in _pages(resources, plural, namespace, moment):
                if moment is None:
                    moment = page["metadata"]["resourceVersion"]
                    yield _header(namespace, moment, now or datetime.now(UTC))
                for item in page["items"]:
                    if "deletionTimestamp" in item["metadata"]:
                        counts["beingDeleted"] += 1
                        continue
                    counts[plural] += 1
                    yield _exported(kind, item)
    except ExpiredError as error:
        raise BackupError(
            "the export is cut off: it took longer than the API server keeps a resourceVersion, about five minutes; "
            "write it to a file on this computer, and compress it afterwards"
        ) from error
    yield {"apiVersion": names.API_VERSION, "kind": END, **{plural: counts[plural] for plural in KINDS.values()}} | (
        {"beingDeleted": counts["beingDeleted"]} if counts["beingDeleted"] else {}
    )


def _pages(resources: Resources, plural: str, namespace: str, moment: str | None) -> Iterator[Resource]:
    try:
        yield from resources.snapshot(Query(plural, namespace), moment)
    except NotFoundError:
        if plural not in {names.TASK_SIGNALS, names.TASK_SCHEDULES}:
            raise
        # The cluster has an earlier version of Podrelay, without this kind.


def _header(namespace: str, moment: str, now: datetime) -> Resource:
    return {
        "apiVersion": names.API_VERSION,
        "kind": HEADER,
        "format": FORMAT,
        "podrelay": version("podrelay"),
        "time": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "namespace": namespace,
        "resourceVersion": moment,
    }


def _exported(kind: str, item: Resource) -> Resource:
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    # The items of a list of custom resources contain their kind, but this is not guaranteed.
    return {**item, "apiVersion": names.API_VERSION, "kind": kind, "metadata": metadata}
