"""Checks the dashboard's sources: types, lint, format, unit tests, and the size of its first load.

`python -m dev.pages.check`, part of `make check`. Without npm, it prints a line and checks nothing. Sources that have
passed are not checked again until they change.
"""

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from dev.cluster import ClusterError
from dev.cluster.paths import cache, which
from dev.pages import build

MOST_BYTES: Final = 200_000
"""Compressed size of everything that the page loads before it shows a list."""
SCHEMA: Final = build.ROOT / "operator" / "podrelay" / "gateway" / "schema.graphql"
_COMMANDS: Final = (
    ("node", "tools/schema-types.mjs"),
    ("node_modules/.bin/biome", "check", "--error-on-warnings", "."),
    ("node_modules/.bin/tsc", "--noEmit"),
    ("node", "tools/test.mjs"),
)


def main() -> int:
    """Return 0 if all checks pass or npm is missing, otherwise 1 after their output."""
    if not which("npm"):
        print("the dashboard is not checked: npm is missing", file=sys.stderr)
        return 0
    page = build.DASHBOARD
    passed = cache() / "dashboard-checked" / f"{build.stamp(page)}-{build.fingerprint(SCHEMA)}"
    if passed.exists():
        return 0
    try:
        problem = _problem(page)
    except ClusterError as error:
        print(f"the dashboard is not checked: {error.message}", file=sys.stderr)
        return 0
    if problem:
        print(problem, file=sys.stderr)
        return 1
    passed.parent.mkdir(parents=True, exist_ok=True)
    passed.touch()
    return 0


def _problem(page: build.Page) -> str:
    """Return the output of the first check that fails, or an empty text."""
    modules = page.source / "node_modules"
    if not modules.exists():
        modules.symlink_to(build.packages(page, with_tools=True))
    for command in _COMMANDS:
        done = subprocess.run(command, cwd=page.source, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{done.stdout}{done.stderr}\nthe dashboard: `{' '.join(command)}` failed in {page.source}"
    if (size := first_load(page)) > MOST_BYTES:
        return f"the dashboard: its first load has {size} bytes compressed, more than {MOST_BYTES}"
    return ""


def first_load(page: build.Page) -> int:
    """Return the compressed size of the scripts and styles that are loaded at first, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        meta = Path(folder, "meta.json")
        command = [str(page.source / "node_modules" / ".bin" / "esbuild"), f"main={page.entries['main']}"]
        options = [*build.OPTIONS, *page.options, f"--outdir={folder}/out", f"--metafile={meta}"]
        subprocess.run([*command, *options], cwd=page.source, check=True, capture_output=True)
        outputs = json.loads(meta.read_text(encoding="utf-8"))["outputs"]
        files = {str((page.source / name).resolve()): about for name, about in outputs.items()}
        loaded, waiting = set(), [name for name in files if Path(name).stem == "main"]
        while waiting:
            name = waiting.pop()
            loaded.add(name)
            imported = (
                page.source / one["path"] for one in files[name]["imports"] if one["kind"] == "import-statement"
            )
            waiting += [str(path.resolve()) for path in imported if str(path.resolve()) not in loaded]
        return sum(len(gzip.compress(Path(name).read_bytes())) for name in loaded)


if __name__ == "__main__":
    sys.exit(main())
