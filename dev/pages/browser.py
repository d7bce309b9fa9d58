"""Debian's Chromium, for tests and pictures of the dashboard: Playwright's own browsers are in no package index."""

import os

from dev.cluster import ClusterError
from dev.cluster.docker.private import apt_install
from dev.cluster.paths import which

PACKAGE = "chromium"
ARGUMENTS = ("--no-sandbox",) if os.geteuid() == 0 else ()
"""Chromium refuses to run as root in its sandbox."""


def chromium() -> str:
    """Return the path of Chromium; install Debian's package if it is missing and this process may.

    Raises:
        ClusterError: it is missing and cannot be installed.
    """
    if found := which(PACKAGE):
        return found
    if which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError("Chromium is missing.", "On Debian, as root: apt-get install chromium")
    apt_install({PACKAGE})
    if found := which(PACKAGE):
        return found
    raise ClusterError("Chromium is missing.", "apt-get install chromium has not installed it.")
