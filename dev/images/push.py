"""Push images to a registry: `python -m dev.images push --registry HOST[:PORT][/PATH] --tag TAG`.

Docker itself pushes, with its own credentials: those of `docker login` in ~/.docker/config.json, or credential helpers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dev.cluster import ClusterError
from dev.cluster.docker import Docker, find
from dev.cluster.paths import here
from dev.cluster.steps import run, step
from dev.images.build import IMAGES
from dev.images.parts import BUILD

PUBLISHED: Final = ("operator", "task", "task-build")
"""The images that clusters and authors of tasks need; the others are for this repository's tests and demo."""
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REGISTRY: Final = re.compile(rf"(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?P<port>:\d+)?(?P<path>(?:/{_PART})*)")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_LOG: Final = BUILD / "push.log"
_REFUSED: Final = re.compile(r"unauthorized|authentication required|denied|no basic auth", re.IGNORECASE)
_PLAIN_HTTP: Final = "server gave HTTP response to HTTPS client"


@dataclass(frozen=True)
class Pushed:
    """An image that has been pushed to a registry.

    Attributes:
        repository: its name there, without a tag.
        tag: its tag there.
        digest: sha256:... of its manifest; empty if Docker does not report it.
    """

    repository: str
    tag: str
    digest: str


def checked_registry(text: str) -> str:
    """Return the address of a registry, HOST[:PORT][/PATH].

    Raises:
        ValueError: it is invalid; the message says why.
    """
    if "://" in text:
        raise ValueError(f"must not start with {text.partition('://')[0]}://; use for example registry.example/team")
    place = text.rstrip("/")
    found = _REGISTRY.fullmatch(place)
    if found is None:
        raise ValueError(f"{text} is not HOST[:PORT][/PATH], such as registry.example/team, with PATH in lower case")
    host = found["host"]
    if not (found["port"] or "." in host or host == "localhost" or host.startswith("[")):
        raise ValueError(f"{host} is not a host, so Docker would push to Docker Hub; to do that, use docker.io/{place}")
    return place


def checked_tag(text: str) -> str:
    """Return a tag.

    Raises:
        ValueError: it is invalid.
    """
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text} is not a tag; use at most 128 letters, digits, '_', '.' and '-', such as 1.0")
    return text


def push(names: Sequence[str], registry: str, tag: str) -> list[Pushed]:
    """Push images that have been built.

    Args:
        names: names of images, as in images.build.IMAGES.
        registry: HOST[:PORT][/PATH].
        tag: the tag of all of them in the registry.

    Raises:
        ClusterError: no Docker daemon responds, or the registry did not accept an image; the message says why.
    """
    docker = find(here())
    if docker is None:
        raise ClusterError("No Docker daemon responds.", "Start Docker, or run: python -m dev.cluster up kind")
    return [_push(docker, IMAGES[name], registry, tag) for name in names]


def helm_flags(pushed: Sequence[Pushed]) -> str:
    """Return the flags for helm to install the operator's image; empty if that was not pushed."""
    name = IMAGES["operator"].partition(":")[0]
    image = next((one for one in pushed if one.repository.rpartition("/")[2] == name), None)
    return "" if image is None else f"--set image.repository={image.repository} --set image.tag={image.tag}"


def _push(docker: Docker, image: str, registry: str, tag: str) -> Pushed:
    repository = f"{registry}/{image.partition(':')[0]}"
    name = f"{repository}:{tag}"
    if docker.ask("image", "inspect", "--format={{.Id}}", image) is None:
        raise ClusterError(f"Docker has no image {image}.", "Build it: python -m dev.images build")
    _LOG.unlink(missing_ok=True)
    _name(docker, image, name, tag)
    try:
        with step(f"push {name}", 20):
            run([docker.program, "push", name], _LOG, env=docker.env)
    except ClusterError as error:
        raise ClusterError(error.message, _hint(registry)) from error
    listed = docker.ask("image", "inspect", "--format={{range .RepoDigests}}{{println .}}{{end}}", name) or ""
    digests = (word.partition("@")[2] for word in listed.split() if word.startswith(f"{repository}@"))
    return Pushed(repository, tag, next(digests, ""))


def _name(docker: Docker, image: str, name: str, tag: str) -> None:
    """Give an image its name in the registry, and a label with its version.

    The label makes it a different image than the original. A kubelet that has pulled an image under one name asks the
    registry whether it may use the same image under another name, and no registry has podrelay:dev.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = BUILD / "push"
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {image}\n", encoding="utf-8")
    label = f"--label=org.opencontainers.image.version={tag}"
    env = docker.env | {"DOCKER_BUILDKIT": "0"}
    run([docker.program, "build", "--quiet", f"--tag={name}", label, "."], _LOG, cwd=folder, env=env)


def _hint(registry: str) -> str:
    """Return what to do about a failed push, depending on the error of Docker."""
    said, host = _LOG.read_text(encoding="utf-8", errors="replace"), registry.partition("/")[0]
    if _PLAIN_HTTP in said:
        return (
            f"{host} does not support TLS. Docker pushes to such a registry only if it is on localhost, or listed in "
            "insecure-registries of /etc/docker/daemon.json."
        )
    if _REFUSED.search(said):
        return f"Log in as a user who may push to {registry}, then run the command again: docker login {host}"
    return f"The whole log is {_LOG}"
