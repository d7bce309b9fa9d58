"""For how long namespaces have their finished runs kept: what their ConfigMaps podrelay-settings say."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from podrelay.api import settings
from podrelay.operator.objects import NamespaceSettings

log = logging.getLogger(__name__)

_FOR_EVER: Final = 0
_REFUSALS: Final = 3
"""A right that is refused so often in a row is missing; a new role reaches each API server a moment later."""


class Retentions:
    """What is set in each namespace; a `kube.reflector.Sink`.

    Nothing is deleted on a guess: until the settings of a namespace were read for the first time, and where they cannot
    be understood, its runs are kept for ever.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str | None], None] = lambda _namespace: None
        """Called with each namespace that has its runs kept for another time from now on; None: all of them."""
        self._days: dict[str, int] = {}
        self._known: set[str | None] = set()
        """Namespaces whose settings were read, or cannot be; None: all."""
        self._refusals: Counter[str | None] = Counter()
        self._told: dict[str, str] = {}
        """What is wrong in a namespace, as the log has it."""

    def days(self, namespace: str) -> int | None:
        """Return for how many days finished runs are kept, 0: for ever; None if the namespace says nothing."""
        if self._known.isdisjoint({None, namespace}):
            return _FOR_EVER
        return self._days.get(namespace)

    def denied(self, namespace: str | None, words: str) -> None:
        """Note that the operator may not read the settings of a namespace, or of all: what was read last goes on."""
        self._refusals[namespace] += 1
        if namespace in self._known or self._refusals[namespace] < _REFUSALS:
            return
        log.warning(
            "settings of namespaces are not obeyed, the operator may not read them: %s; "
            "upgrade the chart, whose role lets it list and watch the ConfigMaps %s",
            words,
            settings.CONFIG_MAP,
            extra={"namespace": namespace or "all"},
        )
        self._known.add(namespace)
        self.changed(namespace)

    def replace(self, objects: list[NamespaceSettings], resource_version: str, namespace: str | None = None) -> None:
        """Take the settings of one namespace, or of all."""
        days = {obj.metadata.namespace: self._read(obj) for obj in objects}
        gone = {known for known in (*self._days, *self._told) if namespace in {None, known}} - days.keys()
        if namespace not in self._known:
            self._days |= {where: value for where, value in days.items() if value is not None}
            self._known.add(namespace)
            self.changed(namespace)
            return
        for where, value in days.items():
            self._set(where, value)
        for where in gone:
            self._forget(where)

    def apply(self, obj: NamespaceSettings) -> None:
        """Take settings that were added or changed."""
        self._set(obj.metadata.namespace, self._read(obj))

    def remove(self, obj: NamespaceSettings) -> None:
        """Note that a namespace has no settings any more."""
        self._forget(obj.metadata.namespace)

    def _forget(self, namespace: str) -> None:
        self._told.pop(namespace, None)
        self._set(namespace, None)

    def _set(self, namespace: str, days: int | None) -> None:
        if self._days.get(namespace) == days:
            return
        if days is None:
            del self._days[namespace]
        else:
            self._days[namespace] = days
        log.info("retention has changed", extra={"namespace": namespace, "days": "default" if days is None else days})
        self.changed(namespace)

    def _read(self, obj: NamespaceSettings) -> int | None:
        """Return what is set, None if nothing is; what makes no sense is told once, and keeps everything."""
        namespace, text = obj.metadata.namespace, obj.data.retention_days
        try:
            days = None if text is None else settings.parse_retention_days(text)
        except settings.RetentionError as error:
            self._tell(namespace, str(error))
            return _FOR_EVER
        self._told.pop(namespace, None)
        return days

    def _tell(self, namespace: str, problem: str) -> None:
        if self._told.get(namespace) == problem:
            return
        self._told[namespace] = problem
        log.warning(
            "settings of a namespace make no sense, its finished runs are kept until they do: %s",
            problem,
            extra={"namespace": namespace, "config_map": settings.CONFIG_MAP},
        )
