"""For tests of crashes: the process kills itself at a write, so that no gap between two writes stays untried.

Only the operator's main program puts this in, and only where the environment asks for it.
"""

import os
import signal
from collections.abc import Mapping
from typing import Any, Final

from podrelay.kube.api import Api

ENV_DIE_BEFORE_WRITE: Final = "PODRELAY_TEST_DIE_BEFORE_WRITE"
"""The number of the write that the process does not live to send."""
ENV_DIE_AFTER_WRITE: Final = "PODRELAY_TEST_DIE_AFTER_WRITE"
"""The number of the write whose answer comes, and that the process does not live to see."""


def put_in(client: Api, environment: Mapping[str, str] = os.environ) -> Api:
    """Return `client`, or one that kills the process where `environment` says so."""
    before, after = (_number(environment, name) for name in (ENV_DIE_BEFORE_WRITE, ENV_DIE_AFTER_WRITE))
    return client if before is None and after is None else MortalClient(client, before, after)


class MortalClient(Api):
    """A client whose process dies at a write.

    Args:
        client: sends the requests.
        before: right before its n-th write, counted from 1.
        after: when its n-th write was answered, and nobody has seen the answer yet.
    """

    def __init__(self, client: Api, before: int | None, after: int | None) -> None:
        self._client = client
        self._before = before
        self._after = after
        self._writes = 0

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request, or die where it is a write."""
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
