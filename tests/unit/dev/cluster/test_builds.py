"""Builds: matching versions, archives that match their digests, a cache that never has incomplete entries."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from dev.cluster import nodeimage, paths, tools, versions
from dev.cluster.errors import ClusterError
from dev.cluster.nodeimage import archive
from dev.cluster.nodeimage.archive import Image
from dev.cluster.tools import Tool, kubernetes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tools.golang, "go", lambda: "go")
    return paths.cache()


def a_tool(build: object) -> Tool:
    return Tool("thing", "v1", "thing", 1, build)  # type: ignore[arg-type]


def test_a_tool_is_built_once(cache: Path) -> None:
    built: list[Path] = []

    def build(folder: Path, _: Path) -> None:
        built.append(folder)
        (folder / "thing").touch()

    first, second = tools._ensure(a_tool(build)), tools._ensure(a_tool(build))

    assert first == second == cache / "tools/thing-v1/thing"
    assert first.exists()
    assert len(built) == 1


def test_an_interrupted_build_does_not_count_as_finished(cache: Path) -> None:
    def interrupted(folder: Path, _: Path) -> None:
        (folder / "thing").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tools._ensure(a_tool(interrupted))

    assert not a_tool(interrupted).path.exists()
    assert not (cache / "tools").exists()


def test_an_unknown_tool_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ClusterError) as error:
        tools.tool("nonsense")

    assert "kubectl" in error.value.hint


def test_staging_modules_have_the_version_of_their_release() -> None:
    assert kubernetes._staging("v1.35.4") == "v0.35.4"


def test_the_programs_get_their_version() -> None:
    flags = kubernetes._version_flags("v1.35.4")

    assert "-X k8s.io/client-go/pkg/version.gitVersion=v1.35.4" in flags
    assert "-X k8s.io/component-base/version.gitMinor=35" in flags


def test_an_archive_lists_each_image_and_matches_its_digests(tmp_path: Path) -> None:
    layer = tmp_path / "app.layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(tarfile.TarInfo("app"), io.BytesIO())

    archive.write(tmp_path / "images.tar", [Image(["app:1", "app:2"], layer, {"Entrypoint": ["/app"]})])

    with tarfile.open(tmp_path / "images.tar") as tar:
        files = {name: file.read() for name in tar.getnames() if (file := tar.extractfile(name))}
    (entry,) = json.loads(files["manifest.json"])
    config = files[entry["Config"]]
    assert entry["RepoTags"] == ["app:1", "app:2"]
    assert entry["Config"] == f"{hashlib.sha256(config).hexdigest()}.json"
    assert json.loads(config)["config"] == {"Entrypoint": ["/app"]}
    assert json.loads(config)["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"]
    assert files[entry["Layers"][0]] == layer.read_bytes()


def test_the_name_of_a_node_image_depends_on_all_its_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = nodeimage.tag()
    monkeypatch.setattr(nodeimage, "PACKAGES", (*nodeimage.PACKAGES, "vim"))

    assert before.startswith(f"podrelay/node:{versions.KUBERNETES}-")
    assert nodeimage.tag() != before


def test_every_enabled_service_exists_and_every_script_is_executable() -> None:
    units = nodeimage.ROOTFS / "etc/systemd/system"
    scripts = list((nodeimage.ROOTFS / "usr/local/bin").iterdir())

    assert {f"{name}.service" for name in nodeimage.ENABLED} <= {path.name for path in units.iterdir()}
    assert all(path.stat().st_mode & 0o111 for path in scripts)


def test_a_tool_is_linked_again_when_its_version_changes(tmp_path: Path) -> None:
    checkout = paths.Checkout(tmp_path)
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "kind").touch()
        paths.link(tmp_path / version / "kind", checkout=checkout)

    assert (checkout.bin / "kind").readlink() == tmp_path / "v2/kind"


def test_the_modules_of_the_projects_programs_have_hashes() -> None:
    for module in sorted((Path(tools.__file__).parent).glob("*/go.mod")):
        sums = module.with_name("go.sum").read_text(encoding="utf-8")
        required = [line.split()[-2:] for line in module.read_text(encoding="utf-8").splitlines() if " v" in line]
        assert required
        assert [name for name, version in required if f"{name} {version} h1:" not in sums] == []
