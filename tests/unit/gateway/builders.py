"""Build objects of the gateway, with defaults for what a test does not set."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from podrelay.gateway.objects import (
    Annotations,
    CurrentPod,
    Definition,
    DefinitionSpec,
    Metadata,
    Record,
    Run,
    RunSpec,
    RunStatus,
)
from podrelay.gateway.statistics import Statistics, Tally

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def metadata(
    name: str, *, namespace: str = "shop", age: float = 0, version: str = "1", by: str | None = None
) -> Metadata:
    """Metadata of an object that was created `age` seconds before NOW."""
    return Metadata(name, namespace, f"uid-{name}", version, NOW - timedelta(seconds=age), None, Annotations(by))


def run(
    name: str = "words", definition: str = "count-words", *, spec: Any = None, about: Any = None, **status: Any
) -> Run:
    """A TaskRun; keyword arguments are its status."""
    if "pod" in status:
        status["current"] = CurrentPod(status.pop("pod"))
    return Run(metadata(name, **(about or {})), RunSpec(definition, **(spec or {})), RunStatus(**status))


def definition(
    name: str = "count-words", ident: str = "countWords", title: str = "Count words", **spec: Any
) -> Definition:
    """A TaskDefinition."""
    return Definition(metadata(name), DefinitionSpec(ident, title, **spec))


def record(run_name: str = "words", iteration: int = 1, *, about: Any = None, **fields: Any) -> Record:
    """A TaskIteration."""
    name = f"{run_name}-i{iteration}"
    return Record(metadata(name, **(about or {})), run_name, iteration, 1, name, **fields)


def statistics_of(runs: Iterable[Run], now: datetime) -> Statistics:
    """Count runs one by one, without a cache."""
    tally = Tally()
    for one in runs:
        tally.add(one)
    return tally.statistics(now)
