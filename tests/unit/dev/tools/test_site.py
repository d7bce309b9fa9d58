"""The documentation as a static site: all pages, working links, and nothing from another host."""

import logging
import re
import shutil
from pathlib import Path

import pytest

from dev.tools.site import __main__ as site
from dev.tools.site import stage

_FROM_ELSEWHERE = re.compile(r'<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"')


@pytest.fixture(autouse=True)
def without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "script.js"
    script.write_text("// from npm\n")
    monkeypatch.setattr(site, "ensure", lambda _script: script)


def test_the_site_has_all_pages_and_needs_no_other_host(tmp_path: Path) -> None:
    assert site.main([str(tmp_path / "site")]) == 0

    made = {str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*.html")} - {"404.html"}
    assert made == {
        str(page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html"))
        for page in stage.pages()
    }
    for name in made:
        assert _FROM_ELSEWHERE.findall((tmp_path / "site" / name).read_text(encoding="utf-8")) == []


def test_a_link_that_leads_nowhere_is_an_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = ("missing.md", "tasks.md#no-such-heading", "../missing/")
    root = tmp_path / "repository"
    for page in (*stage.pages(), Path("docs/gitops.md")):
        (root / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stage.ROOT / page, root / page)
    for linked in {*stage.linked_files()}:
        (root / linked).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stage.ROOT / linked, root / linked)
    pages = stage.pages()
    with (root / "docs" / "gitops.md").open("a", encoding="utf-8") as page_file:
        page_file.writelines(f"\n[x]({link})\n" for link in broken)
    monkeypatch.setattr(stage, "ROOT", root)
    monkeypatch.setattr(stage, "pages", lambda: pages)

    assert site.main([str(tmp_path / "site")]) == 1
    assert "the site cannot be built" in capsys.readouterr().err
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [link for link in broken if not any(f"'{link}'" in warning for warning in warnings)] == [], warnings
