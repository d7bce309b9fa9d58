"""The list of images, and their builds with the Docker daemon of this checkout's kind cluster."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import ClusterError
from dev.cluster.docker import Docker, find
from dev.cluster.locks import lock
from dev.cluster.paths import here
from dev.cluster.steps import run, say, step
from dev.images import base, fingerprint, parts
from dev.images.parts import BUILD, ROOT

OPERATOR, TASK, TASK_BUILD = "podrelay:dev", "podrelay-task:dev", "podrelay-task-build:dev"
EXAMPLES, PRIMES = "podrelay-examples:dev", "podrelay-primes:dev"
IMAGES = {"task": TASK, "operator": OPERATOR, "task-build": TASK_BUILD, "examples": EXAMPLES, "primes": PRIMES}
"""The tags by name on the command line, in the order of the builds."""
LOADED = ("operator", "examples", "primes")
"""The images that pods run; the others are only base images."""
INPUTS_LABEL = "dev.podrelay.inputs"
_LOG = BUILD / "docker.log"


@dataclass(frozen=True)
class Recipe:
    """How Docker builds an image.

    Attributes:
        tag: the name of the image.
        folder: the build context.
        options: options of `docker build`.
        inputs: hash of everything that goes into the image; an image with this label is not built again.
    """

    tag: str
    folder: Path
    options: tuple[str, ...]
    inputs: str


def build(names: Sequence[str] = tuple(IMAGES), wanted: base.WantedBase | None = None) -> None:
    """Build the images whose inputs have changed; the names of images stay the same. `wanted` is their base image.

    Raises:
        ClusterError: no daemon responds, or a build fails; the message contains the end of its log.
    """
    docker = find(here())
    if docker is None:
        raise ClusterError("No Docker daemon responds.", "Start the cluster first: python -m dev.cluster up kind")
    with _alone():
        changed = [recipe for recipe in _recipes(docker, with_base_images(names), wanted) if _build(docker, recipe)]
        if changed:
            # Remove the images that had these names before.
            docker.ask("image", "prune", "--force", f"--filter=label={INPUTS_LABEL}", timeout=60)
        else:
            say("the images are up to date")


def with_base_images(names: Iterable[str]) -> list[str]:
    """Return the images to build, including the base images of this project, in the order of the builds."""
    wanted = set(names) | ({"task"} if "examples" in names else set())
    return [name for name in IMAGES if name in wanted]


def _alone() -> AbstractContextManager[None]:
    BUILD.mkdir(parents=True, exist_ok=True)
    return lock(BUILD / "lock", "another build of images to end")


def _recipes(docker: Docker, names: Iterable[str], wanted: base.WantedBase | None) -> Iterator[Recipe]:
    """Yield the recipes of images, each after the images before it are built."""
    below = base.provide(docker, wanted)
    python = _python_of(docker, below)
    # All parts, regardless of `names`: the classic builder also builds every target before the requested one.
    stamps = {
        "task": parts.task(python),
        "operator": fingerprint.of(parts.operator(python), parts.pages()),
        "podrelay": parts.podrelay(),
    }
    stamps["task-build"] = fingerprint.of(stamps["task"], parts.task_build(python))
    for name in names:
        match name:
            case "examples":
                yield _examples(docker)
            case "primes":
                yield Recipe(PRIMES, BUILD / "primes", (), parts.primes())
            case _:
                yield _podrelay(docker, name, below, stamps)


def _build(docker: Docker, recipe: Recipe) -> bool:
    """Build an image if its inputs have changed; return whether they have."""
    label = docker.ask("image", "inspect", f'--format={{{{index .Config.Labels "{INPUTS_LABEL}"}}}}', recipe.tag)
    if label is not None and label.strip() == recipe.inputs:
        return False
    # Every Docker has the classic builder; with Debian's package, BuildKit would have to be installed in addition.
    env = docker.env | {"DOCKER_BUILDKIT": "0"}
    command = [docker.program, "build", "--quiet", f"--tag={recipe.tag}", f"--label={INPUTS_LABEL}={recipe.inputs}"]
    with step(f"build image {recipe.tag}", 10):
        run([*command, *recipe.options, "."], _LOG, cwd=recipe.folder, env=env)
    return True


def _podrelay(docker: Docker, name: str, below: str, stamps: Mapping[str, str]) -> Recipe:
    """Return the recipe of the operator's image or of a task image: targets of one Dockerfile."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return Recipe(
        tag=IMAGES[name],
        folder=ROOT,
        options=(f"--target={name}", f"--build-arg=BASE={below}"),
        inputs=fingerprint.of(name, _id_of(docker, below), dockerfile, stamps[name], stamps["podrelay"]),
    )


def _examples(docker: Docker) -> Recipe:
    folder = ROOT / "examples"
    files = [folder / "Dockerfile", *fingerprint.files_below(folder, "*.py")]
    return Recipe(
        tag=EXAMPLES,
        folder=folder,
        options=(f"--build-arg=BASE={TASK}",),
        inputs=fingerprint.of(_id_of(docker, TASK), fingerprint.of_files(folder, files)),
    )


def _id_of(docker: Docker, image: str) -> str:
    ident = docker.ask("image", "inspect", "--format={{.Id}}", image)
    if ident is None:
        raise ClusterError(f"Docker has no image {image}.", "Build it: python -m dev.images build")
    return ident.strip()


def _python_of(docker: Docker, image: str) -> str:
    """Return the version of an image's Python, such as 3.13; asked once for each image."""
    known = BUILD / f"python-of-{_id_of(docker, image).removeprefix('sha256:')[:16]}"
    if not known.exists():
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        version = docker.ask("run", "--rm", "--entrypoint=python3", image, "-c", code, timeout=60)
        if version is None:
            raise ClusterError(f"The image {image} has no working python3.", "Remove it, then try again.")
        known.write_text(version.strip(), encoding="utf-8")
    return known.read_text(encoding="utf-8")
