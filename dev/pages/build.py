"""Bundles a page with esbuild: scripts, a style sheet, and the licences of all packages in them.

Each file is also compressed, because the gateway does not compress.
"""

import gzip
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dev.cluster import ClusterError
from dev.cluster.locks import lock
from dev.cluster.paths import cache, which
from dev.cluster.steps import run, step

ROOT: Final = Path(__file__).resolve().parents[2]
STATIC: Final = ROOT / "operator" / "podrelay" / "gateway" / "static"
"""The folder that the gateway serves its pages from."""
LICENCES: Final = "LICENSES.txt"
_IGNORED: Final = ("node_modules", "schema.d.ts")
"""What npm and the type check of the dashboard write between the sources."""
_NPM_FILES: Final = ("package.json", "package-lock.json", ".npmrc")
OPTIONS: Final = (
    "--bundle",
    "--preserve-symlinks",  # so that the names of packages are relative to the sources
    "--minify",
    "--format=esm",
    "--target=es2022",
    "--jsx=automatic",
    "--loader:.ttf=file",
    '--define:process.env.NODE_ENV="production"',
    "--metafile=meta.json",
    "--log-level=warning",
)


@dataclass(frozen=True)
class Page:
    """How a page is built.

    Attributes:
        title: its name in messages.
        source: the folder with package.json, package-lock.json and the sources.
        entries: the sources of its scripts, by the name of the script; "main" is the first one to load.
        options: further options of esbuild.
    """

    title: str
    source: Path
    entries: Mapping[str, str]
    options: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The name of its folders."""
        return self.source.name

    @property
    def place(self) -> Path:
        """The folder for the bundle; it contains one folder, named by a hash of the sources."""
        return STATIC / self.name


GRAPHIQL: Final = Page(
    "GraphiQL",
    ROOT / "dev" / "pages" / "graphiql",
    {
        "main": "main.jsx",
        "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
        "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
        "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
    },
)
DASHBOARD: Final = Page(
    "the dashboard",
    ROOT / "dev" / "pages" / "dashboard",
    {"main": "src/main.tsx"},
    # Editors and other large parts are separate scripts, which are loaded when they are needed.
    ("--splitting", "--chunk-names=part-[hash]"),
)
PAGES: Final[Mapping[str, Page]] = {"dashboard": DASHBOARD, "graphiql": GRAPHIQL}


def ensure(page: Page) -> Path:
    """Build a page unless its bundle exists and matches the sources in the checkout; return its folder.

    It is built once for all checkouts of a user. The name of the inner folder is a hash of the sources, so that
    browsers may cache the files forever.

    Raises:
        ClusterError: npm is missing, or fails.
    """
    name = stamp(page)
    if (page.place / name).exists():
        return page.place
    built = cache() / page.name / name
    with lock(cache() / "locks" / page.name, f"another build of {page.title} to end"):
        if not built.exists():
            with step(f"build {page.title} from npm packages", 30):
                _bundle(page, packages(page), built)
        _replace(page.place, built)
    return page.place


def packages(page: Page, *, with_tools: bool = False) -> Path:
    """Install the packages of a page's lock, once for all checkouts; return the folder node_modules.

    Args:
        page: the page.
        with_tools: also install what its types, style and tests are checked with.

    Raises:
        ClusterError: npm is missing, or fails.
    """
    npm = which("npm")
    if not npm:
        title = f"{page.title[0].upper()}{page.title[1:]}"
        raise ClusterError(f"{title} needs npm to be built.", "Install Node.js 18 or newer with npm, then try again.")
    named = [page.source / name for name in _NPM_FILES]
    total = hashlib.sha256(b"".join(file.read_bytes() for file in named)).hexdigest()[:16]
    place = cache() / f"{page.name}-packages" / f"{total}{'-tools' if with_tools else ''}"
    if not place.exists():
        log = cache() / "logs" / f"{page.name}-packages.log"
        log.unlink(missing_ok=True)
        unfinished = place.with_name(f"{place.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for file in named:
            shutil.copy(file, unfinished)
        hint = f"npm downloads from the registry in its configuration. The whole log is {log}"
        omitted = () if with_tools else ("--omit=dev",)
        run([npm, "ci", *omitted, "--prefer-offline", "--no-progress"], log, cwd=unfinished, hint=hint)
        unfinished.rename(place)
    return place / "node_modules"


def _bundle(page: Page, modules: Path, built: Path) -> None:
    """Build a folder with the bundle; the folder never has its final name before it is complete."""
    log, work = cache() / "logs" / f"{page.name}.log", built.with_name("work")
    log.unlink(missing_ok=True)
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(page.source, work, ignore=shutil.ignore_patterns(*_IGNORED))
    (work / "node_modules").symlink_to(modules)
    entries = [f"{name}={path}" for name, path in page.entries.items()]
    run([modules / ".bin" / "esbuild", *entries, "--outdir=output", *OPTIONS, *page.options], log, cwd=work)
    inputs = json.loads((work / "meta.json").read_text(encoding="utf-8"))["inputs"]
    (work / "output" / LICENCES).write_text(_licences(work, inputs), encoding="utf-8")
    for file in (work / "output").iterdir():
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
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


def stamp(page: Page) -> str:
    """Return a hash of the sources of a page and of how it is built."""
    total = hashlib.sha256()
    for file in sorted([*_sources(page.source), Path(__file__)]):
        name = file.relative_to(page.source) if file.is_relative_to(page.source) else file.name
        total.update(f"{name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def fingerprint(file: Path) -> str:
    """Return a short hash of the content of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _IGNORED:
            continue
        if path.is_dir():
            yield from _sources(path)
        else:
            yield path
