"""Writes every generated file of the repository below a folder, the repository itself by default."""

import sys
from pathlib import Path

from podrelay.api import crd
from podrelay.reconciler import permissions

OUTPUTS = ("crds", "charts/podrelay/files")
"""Folders that hold generated files only; `tools.drift` compares them whole."""


def main(root: Path) -> None:
    """Write all generated files below `root`."""
    crd.write((root / "crds", root / "charts/podrelay/files/crds"))
    permissions.write(root / "charts/podrelay/files")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
