"""What a pod has printed, asked of its node before the pod is cleaned up: of pods whose record the operator writes.

Pods that report by themselves tell in their record. The log is read once, for at most three seconds; that a node
cannot tell keeps no run waiting.
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
"""Of those lines, from the first one on: few are so long."""


async def of(client: Api, namespace: str, pod: Pod | None) -> dict[str, Any] | None:
    """Return what a pod has printed, as its record holds it; None if there is nothing, or no such pod any more."""
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
