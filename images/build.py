"""Which images there are, and building them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster import ClusterError
from cluster.docker import Docker, find
from cluster.paths import here
from cluster.steps import run, step
from images import base, libraries
from images.libraries import ROOT

HASH_LABEL = "dev.podrelay.inputs"
OPERATOR, TASK, EXAMPLES = "podrelay:dev", "podrelay-task:dev", "podrelay-examples:dev"
_LOG = ROOT / libraries.BUILD / "docker.log"


@dataclass(frozen=True)
class _Recipe:
    dockerfile: str
    arguments: dict[str, str]
    inputs: str
    """Hash of everything that goes into the image."""


def build(wanted: tuple[str, ...] = (OPERATOR, TASK, EXAMPLES)) -> None:
    """Build the images whose inputs have changed, with the Docker daemon of this checkout's kind cluster.

    Raises:
        ClusterError: no daemon answers, or a build fails; the message holds the end of its log.
    """
    docker = find(here())
    if docker is None:
        raise ClusterError("No Docker daemon answers.", "Start the cluster first: python -m cluster up kind")
    for image in wanted:
        _build(docker, image, _RECIPES[image](docker))


def _build(docker: Docker, image: str, recipe: _Recipe) -> None:
    label = docker.ask("image", "inspect", "--format", f'{{{{index .Config.Labels "{HASH_LABEL}"}}}}', image)
    if label is not None and label.strip() == recipe.inputs:
        return
    arguments = [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]
    # The classic builder is there in every Docker; BuildKit would have to be installed beside Debian's.
    env = docker.env | {"DOCKER_BUILDKIT": "0"}
    command = [docker.program, "build", "--quiet", f"--tag={image}", f"--label={HASH_LABEL}={recipe.inputs}"]
    with step(f"build image {image}", 10):
        run([*command, *arguments, f"--file={recipe.dockerfile}", "."], _LOG, cwd=ROOT, env=env)


def _podrelay(extra: str) -> Callable[[Docker], _Recipe]:
    def recipe(docker: Docker) -> _Recipe:
        image = base.provide(docker)
        library, own = libraries.dependencies(extra, _python_of(docker, image)), libraries.own()
        inputs = libraries.fingerprint(
            _id_of(docker, image), library.name, own.name, ROOT / "Dockerfile", ROOT / "images" / "scripts"
        )
        return _Recipe("Dockerfile", {"BASE": image, "LIBRARY": str(library), "OWN": str(own)}, inputs)

    return recipe


def _examples(docker: Docker) -> _Recipe:
    inputs = libraries.fingerprint(_id_of(docker, TASK), Path(ROOT / "examples"))
    return _Recipe("examples/Dockerfile", {"BASE": TASK}, inputs)


_RECIPES = {OPERATOR: _podrelay("operator"), TASK: _podrelay(""), EXAMPLES: _examples}


def _id_of(docker: Docker, image: str) -> str:
    ident = docker.ask("image", "inspect", "--format={{.Id}}", image)
    if ident is None:
        raise ClusterError(f"Docker has no image {image}.", "Build it: python -m images build")
    return ident.strip()


def _python_of(docker: Docker, image: str) -> str:
    """Return the version of an image's Python, such as 3.11; asked once for each image."""
    known = ROOT / libraries.BUILD / f"python-of-{_id_of(docker, image).removeprefix('sha256:')[:16]}"
    if not known.exists():
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = docker.ask("run", "--rm", "--entrypoint=python3", image, "-c", code, timeout=60)
        if version is None:
            raise ClusterError(f"The image {image} has no python3 that runs.", "Remove it, then try again.")
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(version.strip(), encoding="utf-8")
    return known.read_text(encoding="utf-8")
