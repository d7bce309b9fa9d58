"""The wait of a pod that was created ahead: it may run the task when the status of its run names it.

The operator writes that after the end of the pod before it. Until then this pod runs no user code, except that a
standby pod imports the task's module while it waits.
"""

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from podrelay.api import names
from podrelay.runner import fence
from podrelay.runner.api_client import ApiClient
from podrelay.runner.environment import Environment
from podrelay.sdk.errors import SupersededError

_PAUSE_SECONDS: Final = 1.0
"""Between two reads while the API server refuses the watch, such as with the role of an older chart."""


def until_released(client: ApiClient, me: Environment, prepare: Callable[[], None]) -> dict[str, Any]:
    """Call `prepare`, then wait until this pod may run the task, and return its TaskRun.

    There is no deadline: the operator or the kubelet ends a pod that is no longer needed.

    Raises:
        SupersededError: this pod must not run user code, or is being ended.
        ApiRefusedError: the run cannot be read.
    """
    with _ended_by_sigterm(me):
        prepare()
        run = client.read(me.namespace, names.TASK_RUNS, me.run, _never)
        while True:
            reason = fence.superseded(run, None, me)
            if reason is not None or run is None:
                raise SupersededError(reason or "")
            if fence.is_released(run, me):
                return run
            version = str(run["metadata"]["resourceVersion"])
            changed = client.wait_for_change(me.namespace, names.TASK_RUNS, me.run, version)
            if changed is None:
                client.pause(_PAUSE_SECONDS, _never)
                changed = client.read(me.namespace, names.TASK_RUNS, me.run, _never)
            run = changed


def _never() -> float:
    return math.inf


@contextlib.contextmanager
def _ended_by_sigterm(me: Environment) -> Iterator[None]:
    """Raise SupersededError on SIGTERM: the first process of a container ignores signals without a handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise SupersededError(f"this pod is ended before pod {me.after}, which it would follow")

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
