"""The settings of a namespace: the ConfigMap podrelay-settings."""

from podrelay.operator.objects.metadata import Metadata, Projection


class SettingsData(Projection, frozen=True):
    """The settings as text, because a ConfigMap only contains text."""

    retention_days: str | None = None


class NamespaceSettings(Projection, frozen=True):
    """The settings of a namespace."""

    metadata: Metadata
    data: SettingsData = SettingsData()
