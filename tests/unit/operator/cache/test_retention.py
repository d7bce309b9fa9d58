"""Reading the settings of namespaces, and reporting changes."""

import logging

import pytest

from podrelay.operator.cache.retention import Retentions
from podrelay.operator.objects.settings import NamespaceSettings
from tests.support.projections import seen
from tests.unit.operator.builders import metadata


class Watched:
    """Settings, and the namespaces that were reported as changed."""

    def __init__(self) -> None:
        self.changed: list[str | None] = []
        self.retentions = Retentions()
        self.retentions.changed = self.changed.append

    def changes(self) -> list[str | None]:
        """The reports since the last call."""
        reported, self.changed[:] = list(self.changed), []
        return reported


@pytest.fixture
def watched() -> Watched:
    """All namespaces, none of which has settings."""
    watched = Watched()
    watched.retentions.replace([], "1")
    assert watched.changes() == [None]
    return watched


def config_map(days: str | None, namespace: str = "shop") -> NamespaceSettings:
    data = {"other": "x" * 1000} | ({} if days is None else {"retentionDays": days})
    about = metadata("podrelay-settings") | {"namespace": namespace}
    return seen({"metadata": about, "data": data}, NamespaceSettings)


def test_runs_are_kept_forever_until_the_settings_are_known() -> None:
    watched = Watched()
    assert watched.retentions.days("shop") == 0

    watched.retentions.replace([], "1", "shop")

    assert watched.retentions.days("shop") is None
    assert watched.retentions.days("else") == 0
    assert watched.changes() == ["shop"]


def test_only_changes_are_reported(watched: Watched) -> None:
    watched.retentions.apply(config_map("7"))
    assert (watched.retentions.days("shop"), watched.changes()) == (7, ["shop"])

    watched.retentions.apply(config_map("7"))
    assert watched.changes() == []

    watched.retentions.apply(config_map("0"))
    assert (watched.retentions.days("shop"), watched.changes()) == (0, ["shop"])

    watched.retentions.apply(config_map(None))
    assert (watched.retentions.days("shop"), watched.changes()) == (None, ["shop"])

    watched.retentions.remove(config_map(None))
    assert watched.changes() == []


def test_a_later_list_reports_what_has_changed_meanwhile(watched: Watched) -> None:
    for namespace in ("gone", "same", "other"):
        watched.retentions.apply(config_map("7", namespace))
    watched.changes()

    watched.retentions.replace([config_map("7", "same"), config_map("8", "other"), config_map("9", "new")], "9")

    assert sorted(map(str, watched.changes())) == ["gone", "new", "other"]
    assert [watched.retentions.days(namespace) for namespace in ("gone", "same", "other", "new")] == [None, 7, 8, 9]


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    watched = Watched()
    watched.retentions.replace([config_map("7")], "1", "shop")
    watched.retentions.replace([config_map("8", "other")], "2", "other")

    watched.retentions.replace([], "3", "other")

    assert (watched.retentions.days("shop"), watched.retentions.days("other")) == (7, None)


def test_an_invalid_value_deletes_nothing_and_is_logged_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.retentions.apply(config_map("7"))
    watched.changes()

    for _ in range(3):
        watched.retentions.apply(config_map("9O"))
    watched.retentions.replace([config_map("9O")], "9")

    assert (watched.retentions.days("shop"), watched.changes()) == (0, ["shop"])
    warnings = [line for line in caplog.records if line.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'9O'" in warnings[0].getMessage()
    watched.retentions.apply(config_map("90"))
    watched.retentions.apply(config_map("9O"))
    assert len([line for line in caplog.records if line.levelno == logging.WARNING]) == 2


def test_without_the_right_the_default_applies_and_that_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()

    for _ in range(2):  # a new role may not have reached all API servers
        watched.retentions.denied(None, 'configmaps is forbidden: User "x" cannot list')
    assert watched.retentions.days("shop") == 0
    for _ in range(3):
        watched.retentions.denied(None, 'configmaps is forbidden: User "x" cannot list')

    assert (watched.retentions.days("shop"), watched.changes()) == (None, [None])
    (warning,) = caplog.records
    assert "upgrade the chart" in warning.getMessage()

    # and once it is granted
    watched.retentions.replace([config_map("7")], "9")
    assert (watched.retentions.days("shop"), watched.changes()) == (7, ["shop"])


def test_a_removed_right_keeps_the_last_known_settings(watched: Watched) -> None:
    watched.retentions.apply(config_map("0"))
    watched.changes()

    for _ in range(5):
        watched.retentions.denied(None, "forbidden")

    assert (watched.retentions.days("shop"), watched.changes()) == (0, [])
