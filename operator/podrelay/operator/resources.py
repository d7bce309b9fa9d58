"""The collections that the operator watches, and the permissions for that."""

from typing import Final

from podrelay.api import names, settings
from podrelay.kube.resources import CONFIG_MAPS, Resource
from podrelay.operator.rbac import Permission

SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts")
RESOURCE_QUOTAS: Final = Resource("", "v1", "resourcequotas")

POD_SELECTOR: Final = names.LABEL_RUN
"""Only pods of runs: the operator never sees or stores any other pods."""
SETTINGS_FIELDS: Final = f"metadata.name={settings.CONFIG_MAP}"
"""Only these ConfigMaps. RBAC matches the name in the selector, so the operator has no right to read others."""

_READ = ("get", "list", "watch")
PERMISSIONS: Final = (
    Permission(
        names.GROUP,
        (names.TASK_RUNS, names.TASK_DEFINITIONS, names.TASK_ITERATIONS, names.TASK_SCHEDULES, names.TASK_SIGNALS),
        _READ,
    ),
    Permission("", ("pods",), _READ),
    Permission("", (SERVICE_ACCOUNTS.plural, RESOURCE_QUOTAS.plural), ("list", "watch")),
    Permission("", (CONFIG_MAPS.plural,), ("list", "watch"), names=(settings.CONFIG_MAP,)),
)
