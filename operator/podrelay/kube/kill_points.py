"""For tests: the process kills or stops itself at a given write, so that every gap between two writes can be tested.

Only the operator's main program uses this, and only if it is set in the environment.
"""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any, Final

from podrelay.kube.api import Api

ENV_DIE_BEFORE_WRITE: Final = "PODRELAY_TEST_DIE_BEFORE_WRITE"
"""The number of the write before which the process is killed."""
ENV_DIE_AFTER_WRITE: Final = "PODRELAY_TEST_DIE_AFTER_WRITE"
"""The number of the write after whose response the process is killed, before the response is processed."""
ENV_STOP_BEFORE_WRITE: Final = "PODRELAY_TEST_STOP_BEFORE_WRITE"
"""The number of the write before which the process is stopped, after the last check and right before it is sent."""


def put_in(client: Api, environment: Mapping[str, str] = os.environ) -> Api:
    """Return `client`, or a client that kills the process as `environment` requires."""
    variables = (ENV_DIE_BEFORE_WRITE, ENV_DIE_AFTER_WRITE, ENV_STOP_BEFORE_WRITE)
    before, after, stopped = (_number(environment, name) for name in variables)
    if before is None and after is None and stopped is None:
        return client
    return MortalClient(client, before, after, stopped)


class MortalClient(Api):
    """A client that kills its process at a write.

    Args:
        client: sends the requests.
        before: kill the process right before the n-th write, counted from 1.
        after: kill the process when the n-th write was answered, before its response is returned.
        stopped: stop the process right before the n-th write is sent.
    """

    def __init__(self, client: Api, before: int | None, after: int | None, stopped: int | None) -> None:
        self._client = client
        self._before = before
        self._after = after
        self._stopped = stopped
        self._writes = 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request, or kill the process if this is the given write."""
        if method == "GET":
            return await self._client.request(method, path, **options)
        self._writes += 1
        number = self._writes
        if number == self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == self._stopped:
            options["before"] = _then_stop(options.get("before"))
        try:
            return await self._client.request(method, path, **options)
        finally:
            if number == self._after:
                os.kill(os.getpid(), signal.SIGKILL)


def _then_stop(check: Callable[[], None] | None) -> Callable[[], None]:
    def stop() -> None:
        if check is not None:
            check()
        os.kill(os.getpid(), signal.SIGSTOP)

    return stop


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name)
    return int(value) if value else None
