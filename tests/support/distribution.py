"""Which tests run in the same process, and in which order they start, when several processes run them (pytest-xdist).

Most files have an operator, a gateway or a namespace that their tests share, so the tests of a file in one place run in
one process. Otherwise, each process would start its own.
"""

from pathlib import Path
from typing import Final

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST: Final = (
    "test_kill_points.py",
    "test_readme.py",
    "test_scenarios.py",
    "test_backup.py",
    "test_children.py",
    "test_promises_played_again.py",
    "test_outages.py",
    "test_schedule_kill_points.py",
    "test_faults.py",
    "test_crash_safety.py",
    "test_dev_server.py",
    "test_restored_database.py",
    "test_large_objects.py",
    "test_secrets.py",
    "test_slow_admission.py",
    "test_extremes_operated.py",
    "test_extremes.py",
    "test_docs_pages.py",
    "test_compatibility.py",
    "test_bad_input.py",
    "test_crd_rules.py",
    "test_limits.py",
    "test_cli.py",
)
"""The files that start first. All others follow, so that the last ones to end are short."""

SPREAD: Final = frozenset(
    {
        "test_crash_safety.py",
        "test_dev_server.py",
        "test_extremes_operated.py",
        "test_faults.py",
        "test_gateway_connections.py",
        "test_held_pods.py",
        "test_limits_of_families.py",
        "test_outages.py",
        "test_promises_played_again.py",
        "test_schedule_kill_points.py",
        "test_slow_admission.py",
        "test_time_fence.py",
    }
)
"""Files whose tests wait for seconds and share little: each test runs in any process."""

CLUSTER: Final = "cluster"
DEV: Final = "dev"
"""The places where tests run: with a real API server, or with `podrelay dev`."""


def place_in_order(file: Path) -> int:
    """Return the place of a test file among the others."""
    return LONGEST_FIRST.index(file.name) if file.name in LONGEST_FIRST else len(LONGEST_FIRST)


def unit_of(test: str) -> str:
    """Return what the tests have in common that run in the same process: the file and the place, or nothing.

    Args:
        test: the id of a test, such as tests/integration/test_cli.py::test_lists[dev-all].
    """
    file, _, name = test.partition("::")
    if Path(file).name in SPREAD:
        return test
    first_parameter = name.partition("[")[2].removesuffix("]").partition("-")[0]
    return f"{file} {DEV}" if first_parameter == DEV else file


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each process the tests of a file, or single tests."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
