"""The build of the gateway's pages."""

import json
import shutil
from pathlib import Path

import pytest

from dev.cluster import ClusterError
from dev.pages import build


@pytest.mark.parametrize("page", build.PAGES.values(), ids=build.PAGES.keys())
def test_the_lock_pins_every_package_by_its_hash_and_names_no_registry(page: build.Page) -> None:
    lock = json.loads((page.source / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    about = json.loads((page.source / "package.json").read_text(encoding="utf-8"))
    wanted = about["dependencies"] | about.get("devDependencies", {})
    packages = {path: package for path, package in lock.items() if path}

    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("main.jsx", ""),
        ("node_modules/react/index.js", "node_modules/react"),
        ("node_modules/@graphiql/react/dist/a/b.js", "node_modules/@graphiql/react"),
        ("node_modules/a/node_modules/@b/c/d.js", "node_modules/a/node_modules/@b/c"),
    ],
)
def test_a_file_belongs_to_the_innermost_package(path: str, folder: str) -> None:
    assert build._package(path) == folder


def test_a_bundle_replaces_the_previous_one(tmp_path: Path) -> None:
    place = tmp_path / "static" / "graphiql"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.js").write_text(name, encoding="utf-8")
        build._replace(place, tmp_path / name)

    assert [file.relative_to(place) for file in place.rglob("*.js")] == [Path("two/main.js")]
    assert list(place.parent.iterdir()) == [place]


def test_an_existing_bundle_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "STATIC", tmp_path / "static")
    monkeypatch.setattr(build, "which", lambda _: None)
    page = build.DASHBOARD
    with pytest.raises(ClusterError, match="The dashboard needs npm"):
        build.ensure(page)

    built = tmp_path / "podrelay" / "dashboard" / build.stamp(page)
    built.mkdir(parents=True)
    (built / "main.js").touch()
    for _ in range(2):
        assert build.ensure(page) == tmp_path / "static" / "dashboard"
        assert (page.place / built.name / "main.js").exists()
        shutil.rmtree(built, ignore_errors=True)


def test_the_name_of_a_bundle_depends_on_all_sources_and_on_nothing_that_npm_or_the_type_check_writes(
    tmp_path: Path,
) -> None:
    page = build.Page("the page", tmp_path, {"main": "src/main.ts"})
    (tmp_path / "src" / "api").mkdir(parents=True)
    (tmp_path / "src" / "main.ts").write_text("1", encoding="utf-8")
    first = build.stamp(page)

    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "package.js").touch()
    (tmp_path / "src" / "api" / "schema.d.ts").touch()
    assert build.stamp(page) == first

    (tmp_path / "src" / "main.ts").write_text("2", encoding="utf-8")
    second = build.stamp(page)
    (tmp_path / "src" / "main.ts").rename(tmp_path / "src" / "other.ts")
    assert len({first, second, build.stamp(page)}) == 3
