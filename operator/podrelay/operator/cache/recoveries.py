"""Notices when something that kept pods from being made may have been mended: service accounts and quotas.

Runs whose pods were refused are tried again after pauses that grow to a minute. A ServiceAccount that is made, or a
ResourceQuota that is raised or used less, ends such a pause. What else refuses pods, such as an admission webhook, has
no object of its own to watch; one pod that is accepted then has the next ones tried (`store.Store.accepted`).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from podrelay.operator.objects import Named

log = logging.getLogger(__name__)

_SPACING_SECONDS: Final = 1.0
"""Between two wakes of one namespace: a quota changes with each pod that comes or goes."""


class Recoveries:
    """Tells of each namespace in which objects of one kind have changed; a `kube.reflector.Sink`.

    Args:
        changed: called with the namespace, at most once a second for each; None: with any of them.
        delay: calls a function after so many seconds; by default on the running event loop.
    """

    def __init__(
        self,
        changed: Callable[[str | None], None],
        delay: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._changed = changed
        self._delay = delay or (lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._recent: dict[str | None, bool] = {}
        """Namespaces that were told of less than a second ago, and whether something has changed since."""
        self._was_denied = False

    def replace(self, objects: list[Named], resource_version: str, namespace: str | None = None) -> None:
        """Take a new list: between two of them anything may have happened."""
        self._tell(namespace)

    def apply(self, obj: Named) -> None:
        """Take an object that was added or changed."""
        self._tell(obj.metadata.namespace)

    def remove(self, obj: Named) -> None:
        """Take an object that has gone: without a quota everything fits."""
        self._tell(obj.metadata.namespace)

    def denied(self, kind: str, words: str) -> None:
        """Note that the operator may not see these objects: then the pauses go on as they are."""
        if not self._was_denied:
            self._was_denied = True
            log.info(
                "changes of %s do not wake runs that wait for them, which are looked at once a minute: %s; upgrade the "
                "chart, whose role lets the operator watch them",
                kind,
                words,
            )

    def _tell(self, namespace: str | None) -> None:
        if namespace in self._recent:
            self._recent[namespace] = True
            return
        self._recent[namespace] = False
        self._delay(_SPACING_SECONDS, lambda: self._go_on(namespace))
        self._changed(namespace)

    def _go_on(self, namespace: str | None) -> None:
        if self._recent.pop(namespace):
            self._tell(namespace)
