"""The build of GraphiQL."""

import json
import shutil
from pathlib import Path

import pytest

from dev.cluster import ClusterError
from dev.tools.graphiql import build


def test_the_lock_pins_every_package_by_its_hash_and_names_no_registry() -> None:
    lock = json.loads((build.PAGE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = json.loads((build.PAGE / "package.json").read_text(encoding="utf-8"))["dependencies"]
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
    monkeypatch.setattr(build, "PLACE", tmp_path / "static" / "graphiql")
    monkeypatch.setattr(build, "which", lambda _: None)
    with pytest.raises(ClusterError, match="needs npm"):
        build.ensure()

    built = tmp_path / "podrelay" / "graphiql" / build._stamp()
    built.mkdir(parents=True)
    (built / "main.js").touch()
    for _ in range(2):
        build.ensure()
        assert (build.PLACE / built.name / "main.js").exists()
        shutil.rmtree(built, ignore_errors=True)
