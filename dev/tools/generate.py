"""Writes all generated files below a folder, by default the repository itself."""

import sys
from pathlib import Path
from typing import Final

import yaml

from dev.tools import advice, examples, reference
from podrelay.api import crd, task_namespace
from podrelay.gateway.schema import build
from podrelay.operator import rbac

OUTPUTS = (
    "crds",
    "charts/podrelay/files",
    "docs/reference.md",
    "examples/wordcount/definition.yaml",
    "examples/abort/definition.yaml",
    "operator/podrelay/gateway/schema.graphql",
    "operator/podrelay/gateway/advice.json",
)
"""Generated files, and folders that contain only generated files; `tools.drift` compares them."""

_PERMISSIONS: Final = (
    "# Generated from the PERMISSIONS of operator/podrelay/operator by `make generate`; do not edit.\n"
)
_TASK_NAMESPACE: Final = (
    "# What tasks need in the namespace NAMESPACE. Generated from operator/podrelay/api/task_namespace.py by\n"
    "# `make generate`; do not edit.\n"
)


def main(root: Path) -> None:
    """Write all generated files below `root`."""
    crd.write((root / "crds", root / "charts/podrelay/files/crds"))
    for name, own_namespace in (("operator-role.yaml", False), ("operator-lease-role.yaml", True)):
        rules = yaml.safe_dump(rbac.rules(own_namespace=own_namespace), sort_keys=False)
        (root / "charts/podrelay/files" / name).write_text(_PERMISSIONS + rules, encoding="utf-8")
    needed = yaml.safe_dump(task_namespace.objects("NAMESPACE"), sort_keys=False)
    (root / "charts/podrelay/files/task-namespace.yaml").write_text(_TASK_NAMESPACE + needed, encoding="utf-8")
    examples.write(root)
    reference.write(root)
    build.write(root / "operator/podrelay/gateway/schema.graphql")
    advice.write(root / "operator/podrelay/gateway/advice.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
