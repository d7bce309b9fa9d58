"""`python -m dev.tools.site [FOLDER]`: builds the site; a link that leads nowhere is an error. Default: build/site."""

import argparse
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

from dev.cluster.errors import ClusterError
from dev.tools.site.scripts import MERMAID, SEARCH, ensure
from dev.tools.site.stage import ROOT, stage

CONFIG: Final = Path(__file__).parent / "mkdocs.yml"


def main(arguments: list[str] | None = None) -> int:
    """Build the site; return 1 if a link is broken."""
    parser = argparse.ArgumentParser(description="Build the documentation as a static site.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    folder: Path = parser.parse_args(arguments).folder.resolve()
    with tempfile.TemporaryDirectory(prefix="podrelay-site-") as work:
        pages = Path(work) / "pages"
        pages.mkdir()
        stage(pages)
        if not _build(pages, folder):
            return 1
    print(f"open {folder / 'index.html'}")
    return 0


def _build(pages: Path, folder: Path) -> bool:
    # MkDocs wants its configuration next to the folder with the pages.
    config_file = shutil.copy(CONFIG, pages.parent)
    scripts = [f"assets/{script.name}" for script in (MERMAID, SEARCH)]
    config = load_config(
        config_file=str(config_file),
        docs_dir=str(pages),
        site_dir=str(folder),
        extra_javascript=scripts[:1],
        extra={"polyfills": scripts[1:]},
    )
    try:
        for script, name in zip((MERMAID, SEARCH), scripts, strict=True):
            (pages / name).parent.mkdir(exist_ok=True)
            shutil.copy(ensure(script), pages / name)
        config.plugins.on_startup(command="build", dirty=False)
        build(config)
    except (Abort, ClusterError) as error:
        print(f"the site cannot be built: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(message)s")  # which link leads nowhere
    sys.exit(main())
