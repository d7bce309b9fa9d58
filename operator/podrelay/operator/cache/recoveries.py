"""Notices when a problem that prevented the creation of pods may be fixed: a missing ServiceAccount or a full quota.

Runs whose pods were refused are retried after pauses that grow to a minute. The creation of a ServiceAccount, or a
change of a ResourceQuota, ends such a pause. Other causes, such as an admission webhook, have no object to watch; for
these, the first pod that is accepted triggers further retries (`store.Store.accepted`).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from podrelay.operator.objects.metadata import Named

log = logging.getLogger(__name__)

_SPACING_SECONDS: Final = 1.0
"""Between two notifications for one namespace: a quota changes with each pod that is created or deleted."""


class Recoveries:
    """Reports each namespace in which objects of one kind have changed; a `kube.reflector.Sink`.

    Args:
        changed: called with the namespace (None: all namespaces), at most once a second for each.
        delay: calls a function after a number of seconds; by default on the running event loop.
    """

    def __init__(
        self,
        changed: Callable[[str | None], None],
        delay: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._changed = changed
        self._delay = delay or (lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._recent: dict[str | None, bool] = {}
        """Namespaces that were reported less than a second ago, and whether they have changed since."""
        self._was_denied = False

    def replace(self, objects: list[Named], resource_version: str, namespace: str | None = None) -> None:
        """Process a new list: anything may have changed since the previous one."""
        self._report(namespace)

    def apply(self, obj: Named) -> None:
        """Process an object that was added or changed."""
        self._report(obj.metadata.namespace)

    def remove(self, obj: Named) -> None:
        """Process a deleted object: without a quota, everything fits."""
        self._report(obj.metadata.namespace)

    def denied(self, kind: str, words: str) -> None:
        """Note that the operator is not allowed to watch these objects: then the pauses are not shortened."""
        if not self._was_denied:
            self._was_denied = True
            log.info(
                "changes of %s do not trigger retries of the runs that wait for them, which are retried once a minute: "
                "%s; upgrade the chart, whose role allows the operator to watch them",
                kind,
                words,
            )

    def _report(self, namespace: str | None) -> None:
        if namespace in self._recent:
            self._recent[namespace] = True
            return
        self._recent[namespace] = False
        self._delay(_SPACING_SECONDS, lambda: self._end_pause(namespace))
        self._changed(namespace)

    def _end_pause(self, namespace: str | None) -> None:
        if self._recent.pop(namespace):
            self._report(namespace)
