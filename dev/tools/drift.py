"""Fails if a generated file differs from what the current code generates."""

import sys
import tempfile
from pathlib import Path

from dev.tools import generate


def _files(place: Path) -> dict[str, bytes]:
    if place.is_file():
        return {"": place.read_bytes()}
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def _differences(output: str, fresh: Path) -> list[str]:
    written, wanted = _files(Path(output)), _files(fresh)
    return [
        f"{output}/{name}".rstrip("/")
        for name in written.keys() | wanted.keys()
        if written.get(name) != wanted.get(name)
    ]


def main() -> int:
    """Return 0 if all files are current, otherwise print those that are not and return 1."""
    with tempfile.TemporaryDirectory() as folder:
        generate.main(Path(folder))
        stale = sorted(name for output in generate.OUTPUTS for name in _differences(output, Path(folder, output)))
    for name in stale:
        print(f"not current: {name}", file=sys.stderr)
    if stale:
        print("run 'make generate'", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
