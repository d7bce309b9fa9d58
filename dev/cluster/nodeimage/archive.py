"""Write container images as archives for `docker load` and `ctr images import`, without a daemon.

The format is that of `docker save`: manifest.json names the settings file and the layers of each image; the settings
list the layers again, by their digests.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Image:
    """An image with a single layer.

    Attributes:
        tags: All names of the image.
        layer: The layer's tar file.
        settings: The settings of a Dockerfile, as the image format names them: Entrypoint, Env, StopSignal.
    """

    tags: Sequence[str]
    layer: Path
    settings: Mapping[str, object]

    def config(self) -> bytes:
        """Return the content of the settings file."""
        return json.dumps(
            {
                "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
                "os": "linux",
                "created": "1970-01-01T00:00:00Z",
                "config": dict(self.settings),
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest(self.layer)}"]},
                "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "podrelay"}],
            }
        ).encode()


def digest(path: Path) -> str:
    """Return the SHA-256 digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(images: Sequence[Image]) -> dict[str, bytes]:
    """Return the small files of an archive by name: manifest.json and the settings of each image."""
    files: dict[str, bytes] = {}
    manifest = []
    for image in images:
        config = image.config()
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        files[name] = config
        manifest.append({"Config": name, "RepoTags": list(image.tags), "Layers": [image.layer.name]})
    return files | {"manifest.json": json.dumps(manifest).encode()}


def write(archive: Path, images: Sequence[Image]) -> None:
    """Write images into one archive file."""
    with tarfile.open(archive, "w") as tar:
        for name, content in describe(images).items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for image in images:
            tar.add(image.layer, image.layer.name)
