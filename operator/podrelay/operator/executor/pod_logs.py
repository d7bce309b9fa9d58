"""Reads the log of a pod before the pod is deleted, if the operator writes the record of the pod.

Pods that write their own record store their log there. The log is read once, for at most three seconds, so that a node
that does not answer cannot block the run.
"""

from typing import Any, Final

from podrelay.api import console, limits
from podrelay.kube.api import Api
from podrelay.kube.errors import ApiError, NotFoundError, TransportError
from podrelay.kube.resources import PODS
from podrelay.operator.pods import Pod
from podrelay.operator.rbac import Permission

PERMISSIONS: Final = (Permission("", ("pods/log",), ("get",)),)

_SECONDS: Final = 3.0
_LINES: Final = 400
_MOST_BYTES: Final = 1024 * limits.KIB
"""Of those lines, from the first one on; logs are rarely that long."""


async def of(client: Api, namespace: str, pod: Pod | None) -> dict[str, Any] | None:
    """Return the log of a pod, in the format of its record; None if it is empty or the pod does not exist."""
    if pod is None or not pod.has_started:
        return None
    params = {
        "container": pod.metadata.annotations.container,
        "tailLines": str(_LINES),
        "limitBytes": str(_MOST_BYTES),
    }
    path = PODS.path(namespace, pod.metadata.name, "log")
    try:
        return console.tail(await client.request("GET", path, params=params, timeout_seconds=_SECONDS))
    except NotFoundError:
        return None
    except ApiError as error:
        return {"problem": limits.cut(f"the log could not be read: {error}", limits.RECENT_MESSAGE_LENGTH)}
    except (TransportError, TimeoutError):
        return {"problem": f"the log could not be read: no answer within {_SECONDS:g} s"}
