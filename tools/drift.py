"""Fails when a generated file is not what the code would write today."""

import sys
import tempfile
from pathlib import Path

from tools import generate


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def main() -> int:
    """Return 0 if all is current, else 1 after naming what is not."""
    with tempfile.TemporaryDirectory() as folder:
        generate.main(Path(folder))
        stale = sorted(
            f"{output}/{name}"
            for output in generate.OUTPUTS
            for name in (fresh := _files(Path(folder, output))).keys() | (kept := _files(Path(output))).keys()
            if fresh.get(name) != kept.get(name)
        )
    for name in stale:
        print(f"not current: {name}", file=sys.stderr)
    if stale:
        print("run 'make generate'", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
