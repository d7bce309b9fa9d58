"""Reads the signals that this pod was given, and those that wait, for `controller.signals`."""

import math
import sys
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from podrelay.api import names
from podrelay.runner.api_client import ApiClient, Deadline, path
from podrelay.runner.environment import Environment
from podrelay.sdk.errors import ApiRefusedError
from podrelay.sdk.signals import Signal, signal_of

_PAGE_SIZE: Final = 100


def read(client: ApiClient, me: Environment, deadline: Deadline) -> list[Signal]:
    """Return the signals that this pod was given; one that a user has deleted since is left out.

    Raises:
        ApiRefusedError, ApiUnreachableError: a signal cannot be read.
    """
    found: list[Signal] = []
    for name in me.signals:
        # Wait for a missing permission until the deadline, as for the state: the answer could not be stored either.
        stored = client.read(me.namespace, names.TASK_SIGNALS, name, deadline, math.inf)
        if stored is None or stored["spec"]["taskRun"] != me.run:
            print(f"podrelay-runner: TaskSignal {name} was deleted", file=sys.stderr)
        else:
            found.append(signal_of(stored))
    return found


def waiting(client: ApiClient, me: Environment, name: str | None, deadline: Deadline) -> list[Signal]:
    """Return the signals of the run that were neither consumed nor rejected, the oldest first.

    Raises:
        ApiRefusedError, ApiUnreachableError: they cannot be listed.
    """
    found = [signal_of(stored) for stored in _pages(client, me, name, deadline) if _is_own(stored, me)]
    return sorted(found, key=lambda signal: (signal.sent_at, signal.key))


def _pages(client: ApiClient, me: Environment, name: str | None, deadline: Deadline) -> Iterator[dict[str, Any]]:
    selector = f"spec.taskRun={me.run},status.phase=Pending" + (f",spec.signal={name}" if name else "")
    more = ""
    while True:
        query = {"fieldSelector": selector, "limit": str(_PAGE_SIZE)} | ({"continue": more} if more else {})
        url = f"{path(me.namespace, names.TASK_SIGNALS)}?{urlencode(query)}"
        status, answer = client.request("GET", url, None, deadline)
        if status != 200:
            raise ApiRefusedError(status, str(answer.get("message", "")))
        yield from answer.get("items") or []
        more = (answer.get("metadata") or {}).get("continue") or ""
        if not more:
            return


def _is_own(stored: dict[str, Any], me: Environment) -> bool:
    """Whether it is for this run, and not for an earlier run of this name that is being garbage-collected."""
    owners = [owner for owner in stored["metadata"].get("ownerReferences") or () if owner["kind"] == "TaskRun"]
    return not owners or any(owner["uid"] == me.run_uid for owner in owners)
