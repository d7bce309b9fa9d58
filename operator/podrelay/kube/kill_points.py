"""For tests of crashes: the process kills itself at a given write, so that every gap between two writes can be tested.

Only the operator's main program uses this, and only if it is set in the environment.
"""

import os
import signal
from collections.abc import Mapping
from typing import Any, Final

from podrelay.kube.api import Api

ENV_DIE_BEFORE_WRITE: Final = "PODRELAY_TEST_DIE_BEFORE_WRITE"
"""The number of the write before which the process is killed."""
ENV_DIE_AFTER_WRITE: Final = "PODRELAY_TEST_DIE_AFTER_WRITE"
"""The number of the write after whose response the process is killed, before the response is processed."""


def put_in(client: Api, environment: Mapping[str, str] = os.environ) -> Api:
    """Return `client`, or a client that kills the process as `environment` requires."""
    before, after = (_number(environment, name) for name in (ENV_DIE_BEFORE_WRITE, ENV_DIE_AFTER_WRITE))
    return client if before is None and after is None else MortalClient(client, before, after)


class MortalClient(Api):
    """A client that kills its process at a write.

    Args:
        client: sends the requests.
        before: kill the process right before the n-th write, counted from 1.
        after: kill the process when the n-th write was answered, before its response is returned.
    """

    def __init__(self, client: Api, before: int | None, after: int | None) -> None:
        self._client = client
        self._before = before
        self._after = after
        self._writes = 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request, or kill the process if this is the given write."""
        if method == "GET":
            return await self._client.request(method, path, **options)
        self._writes += 1
        number = self._writes
        if number == self._before:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return await self._client.request(method, path, **options)
        finally:
            if number == self._after:
                os.kill(os.getpid(), signal.SIGKILL)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    value = environment.get(name)
    return int(value) if value else None
