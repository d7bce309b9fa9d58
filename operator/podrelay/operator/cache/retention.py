"""The retention of finished runs by namespace, from the ConfigMaps podrelay-settings."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from podrelay.api import settings
from podrelay.operator.objects.settings import NamespaceSettings

log = logging.getLogger(__name__)

_FOREVER: Final = 0
_REFUSALS: Final = 3
"""After so many refusals in a row, the right counts as missing; a new role takes a moment to reach each API server."""


class Retentions:
    """The retention of each namespace; a `kube.reflector.Sink`.

    Nothing is deleted by guesswork: until the settings of a namespace have been read for the first time, and while they
    are invalid, its runs are kept forever.
    """

    def __init__(self) -> None:
        self.changed: Callable[[str | None], None] = lambda _namespace: None
        """Called with each namespace whose retention has changed; None: all namespaces."""
        self._days: dict[str, int] = {}
        self._known: set[str | None] = set()
        """Namespaces whose settings have been read, or cannot be read; None: all."""
        self._refusals: Counter[str | None] = Counter()
        self._logged: dict[str, str] = {}
        """The problem of each namespace that was logged last."""

    def days(self, namespace: str) -> int | None:
        """Return for how many days finished runs are kept (0: forever); None if the namespace does not set it."""
        if self._known.isdisjoint({None, namespace}):
            return _FOREVER
        return self._days.get(namespace)

    def denied(self, namespace: str | None, words: str) -> None:
        """Note that the operator may not read the settings of a namespace, or of all; the last known ones apply."""
        self._refusals[namespace] += 1
        if namespace in self._known or self._refusals[namespace] < _REFUSALS:
            return
        log.warning(
            "the settings of namespaces are ignored, because the operator is not allowed to read them: %s; "
            "upgrade the chart, whose role allows it to list and watch the ConfigMaps %s",
            words,
            settings.CONFIG_MAP,
            extra={"namespace": namespace or "all"},
        )
        self._known.add(namespace)
        self.changed(namespace)

    def replace(self, objects: list[NamespaceSettings], resource_version: str, namespace: str | None = None) -> None:
        """Store the settings of one namespace, or of all."""
        days = {obj.metadata.namespace: self._read(obj) for obj in objects}
        gone = {known for known in (*self._days, *self._logged) if namespace in {None, known}} - days.keys()
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
        """Store settings that were added or changed."""
        self._set(obj.metadata.namespace, self._read(obj))

    def remove(self, obj: NamespaceSettings) -> None:
        """Note that a namespace no longer has settings."""
        self._forget(obj.metadata.namespace)

    def _forget(self, namespace: str) -> None:
        self._logged.pop(namespace, None)
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
        """Return the retention, None if none is set; an invalid value is logged once, and keeps runs forever."""
        namespace, text = obj.metadata.namespace, obj.data.retention_days
        try:
            days = None if text is None else settings.parse_retention_days(text)
        except settings.RetentionError as error:
            self._log_problem(namespace, str(error))
            return _FOREVER
        self._logged.pop(namespace, None)
        return days

    def _log_problem(self, namespace: str, problem: str) -> None:
        if self._logged.get(namespace) == problem:
            return
        self._logged[namespace] = problem
        log.warning(
            "the settings of a namespace are invalid; its finished runs are kept until that is corrected: %s",
            problem,
            extra={"namespace": namespace, "config_map": settings.CONFIG_MAP},
        )
