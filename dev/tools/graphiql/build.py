"""Bundles the page with esbuild: one script, one style sheet, three workers of the editor, and all licences."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from dev.cluster import ClusterError
from dev.cluster.locks import lock
from dev.cluster.paths import cache, which
from dev.cluster.steps import run, step

ROOT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = Path(__file__).parent / "page"
PLACE: Final = ROOT / "operator" / "podrelay" / "gateway" / "static" / "graphiql"
WORKERS: Final = {
    "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
    "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
    "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
}
LICENCES: Final = "LICENSES.txt"
_OPTIONS: Final = (
    "--bundle",
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--jsx=automatic",
    "--loader:.ttf=file",
    '--define:process.env.NODE_ENV="production"',
    "--metafile=meta.json",
    "--log-level=warning",
)


def ensure() -> None:
    """Build the files unless they exist and match the sources in the checkout.

    They are built once for all checkouts of a user. The name of their folder is a hash of their sources, so that
    browsers may cache them forever.

    Raises:
        ClusterError: npm is missing, or fails.
    """
    stamp = _stamp()
    if (PLACE / stamp).exists():
        return
    built = cache() / "graphiql" / stamp
    with lock(cache() / "locks" / "graphiql", "another build of GraphiQL to end"):
        if not built.exists():
            npm = which("npm")
            if not npm:
                raise ClusterError(
                    "GraphiQL needs npm to be built.", "Install Node.js 18 or newer with npm, then try again."
                )
            with step("build GraphiQL from npm packages", 30):
                _bundle(npm, built)
        _replace(PLACE, built)


def _bundle(npm: str, built: Path) -> None:
    """Build a folder with the bundle; the folder never has its final name before it is complete."""
    log, work = cache() / "logs" / "graphiql.log", built.with_name("work")
    log.unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(PAGE, work, ignore=shutil.ignore_patterns("node_modules"))
    hint = f"npm downloads from the registry in its configuration. The whole log is {log}"
    run([npm, "ci", "--prefer-offline", "--no-progress"], log, cwd=work, hint=hint)
    entries = ["main=main.jsx", *(f"{name}={path}" for name, path in WORKERS.items())]
    run([work / "node_modules/.bin/esbuild", *entries, "--outdir=output", *_OPTIONS], log, cwd=work)
    inputs = json.loads((work / "meta.json").read_text(encoding="utf-8"))["inputs"]
    (work / "output" / LICENCES).write_text(_licences(work, inputs), encoding="utf-8")
    (work / "output").rename(built)
    shutil.rmtree(work)


def _replace(place: Path, built: Path) -> None:
    """Replace the previous bundle."""
    unfinished = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(built, unfinished / built.name)
    shutil.rmtree(place, ignore_errors=True)
    unfinished.rename(place)


def _licences(source: Path, inputs: Iterable[str]) -> str:
    """Return the licences of all packages in the bundle."""
    texts = []
    for folder in sorted({_package(path) for path in inputs} - {""}):
        about = json.loads((source / folder / "package.json").read_text(encoding="utf-8"))
        files = sorted(file for file in (source / folder).iterdir() if file.name.upper().startswith("LICEN"))
        words = "\n".join(file.read_text(encoding="utf-8") for file in files) or f"License: {about['license']}\n"
        texts.append(f"{about['name']} {about['version']}\n\n{words}")
    return f"\n{'-' * 72}\n\n".join(texts)


def _package(path: str) -> str:
    """Return the folder of the package that a file belongs to, or "" for a file of this repository."""
    head, mark, rest = path.rpartition("node_modules/")
    return f"{head}{mark}{'/'.join(rest.split('/')[: 2 if rest.startswith('@') else 1])}" if mark else ""


def _stamp() -> str:
    total = hashlib.sha256()
    for file in sorted([*filter(Path.is_file, PAGE.iterdir()), Path(__file__)]):
        total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]
