"""Writes what docs/troubleshooting.md says about each reason as JSON, for the `diagnosis` of a task in the gateway."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PAGE: Final = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def write(path: Path) -> None:
    """Write the JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = dict(_reasons(_PAGE.read_text(encoding="utf-8")))
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _reasons(page: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each reason with the cells of its row, as plain text, and the anchor of its section."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).strip().replace(" ", "-")
        if not line.startswith("| `"):
            continue
        first, meaning, advice = (_LINK.sub(r"\1", cell.strip()) for cell in line.strip("|").split("|"))
        for reason in re.findall(r"`([A-Za-z_]+)\d*`", first):
            yield reason, {"meaning": meaning, "advice": advice, "section": section}
