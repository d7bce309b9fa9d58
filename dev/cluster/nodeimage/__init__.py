"""A node image for kind, built from Debian packages and this project's build of Kubernetes.

For hosts that cannot pull kindest/node. A node is a small Debian with systemd, containerd and the kubelet; the programs
of the control plane, CoreDNS and `pause` are images in containerd's store, under the names that kubeadm expects.
`rootfs/` has every file that is not from a package, at its path.

The result is a folder in the cache that `docker load` reads as a stream. The build needs root: it creates a root file
system with files of other owners, and changes into it.
"""

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from dev.cluster import versions
from dev.cluster.errors import ClusterError
from dev.cluster.locks import lock
from dev.cluster.nodeimage import archive
from dev.cluster.nodeimage.archive import Image
from dev.cluster.paths import cache, which
from dev.cluster.steps import ask, run, say, step
from dev.cluster.tools import kubernetes, tool

OURS = Path(__file__).resolve().parent
ROOTFS = OURS / "rootfs"
REGISTRY = "registry.k8s.io"
_RECIPE = "1"  # increase it when a change of this file changes the result

PACKAGES = (
    "systemd",
    "dbus",
    "containerd",
    "runc",
    "containernetworking-plugins",
    "iptables",
    "nftables",
    "conntrack",
    "iproute2",
    "ethtool",
    "kmod",
    "mount",
    "procps",
    "e2fsprogs",
    "ca-certificates",
)
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
CNI_PLUGINS = {"bridge", "host-local", "loopback", "portmap"}

# Files of packages that a node never uses. Their size matters, because each new dockerd loads the image again.
SUPERFLUOUS = (
    "usr/bin/containerd-shim",
    "usr/bin/containerd-shim-runc-v1",
    "usr/lib/*-linux-gnu/gconv",
    "usr/lib/*-linux-gnu/perl",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
)

ENABLED = ("containerd", "kubelet", "podnet")
# Units that do not make sense in a container, or delay its start.
MASKED = (
    "systemd-binfmt.service",
    "systemd-logind.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "getty.target",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)


def tag() -> str:
    """Return the image's name. It changes with everything that goes into the image, so an old image is never reused."""
    facts = [_RECIPE, versions.DEBIAN, versions.COREDNS, versions.PAUSE_TAG, versions.ETCD_TAG, kubernetes.version()]
    content = hashlib.sha256("\n".join([*facts, *PACKAGES, *MASKED, *SUPERFLUOUS]).encode())
    for path in sorted(OURS.rglob("*")):
        if path.is_file() and path.suffix not in {".py", ".pyc"}:
            content.update(str(path.relative_to(OURS)).encode() + path.read_bytes())
    return f"podrelay/node:{versions.KUBERNETES}-{content.hexdigest()[:8]}"


def folder() -> Path:
    """Return the folder of the finished image, which need not exist yet."""
    return cache() / "nodeimage" / tag().partition(":")[2]


def built() -> bool:
    """Return whether the image is in the cache."""
    return folder().exists()


def load(docker: str, env: dict[str, str]) -> str:
    """Load the image from the cache into a Docker daemon, and return its name."""
    contents = sorted(path.name for path in folder().iterdir())
    reader = subprocess.Popen(["tar", "-C", str(folder()), "-c", *contents], stdout=subprocess.PIPE)
    loader = subprocess.run(
        [docker, "load", "--quiet"], stdin=reader.stdout, env=env, capture_output=True, text=True, check=False
    )
    if reader.stdout:
        reader.stdout.close()
    if reader.wait() != 0 or loader.returncode != 0:
        raise ClusterError(
            f"The node image could not be loaded into Docker: {loader.stderr.strip()}",
            f"If the cache is damaged, remove {folder()} and try again.",
        )
    return tag()


def build() -> None:
    """Build the image into the cache, unless it exists."""
    if built():
        return
    programs = {name: tool(name) for name in ("kubernetes", "coredns", "pause")}
    with lock(cache() / "locks" / "nodeimage", "another build of the node image to end"):
        if built():
            return
        work = cache() / "unfinished-nodeimage"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        log = cache() / "logs" / "nodeimage.log"
        log.unlink(missing_ok=True)
        root = work / "root"
        with step(f"node image: Debian {versions.DEBIAN} with systemd and containerd", 45):
            _debian(root, log)
        with step("node image: Kubernetes and its images", 25):
            _lay_over(root, log, programs["kubernetes"])
            images = work / "images.tar"
            archive.write(images, _images(root, work, programs))
            _preload(root, images, log)
        with step("node image: pack", 10):
            result = work / "result"
            result.mkdir()
            _pack(root, result, log)
        folder().parent.mkdir(parents=True, exist_ok=True)
        result.rename(folder())
        shutil.rmtree(work)
        say(f"stored in {folder()}")


def missing_packages() -> list[str]:
    """Return the Debian packages that the build needs and that are not installed on the host."""
    needed = {"mmdebstrap": which("mmdebstrap"), "debian-archive-keyring": DEBIAN_KEYS.exists()}
    return [package for package, found in needed.items() if not found]


def _debian(root: Path, log: Path) -> None:
    command: list[str | Path] = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--mode=root",
        f"--include={','.join(PACKAGES)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        versions.DEBIAN,
        root,
    ]
    run(
        command,
        log,
        hint=f"The build downloads Debian packages; check that apt can do that here. The whole log is {log}",
    )
    for pattern in SUPERFLUOUS:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for plugin in (root / "usr/lib/cni").iterdir():
        if plugin.name not in CNI_PLUGINS:
            plugin.unlink()


def _lay_over(root: Path, log: Path, kubernetes_binary: Path) -> None:
    """Add the files of `rootfs/` and Kubernetes."""
    shutil.copytree(ROOTFS, root, dirs_exist_ok=True)
    containerd = root / "etc/containerd/config.toml"
    containerd.write_text(containerd.read_text().replace("@PAUSE@", versions.PAUSE_TAG))
    (root / "kind/version").write_text(versions.KUBERNETES)
    shutil.copy(kubernetes_binary, root / "usr/bin/k8s")
    for program in ("kubeadm", "kubectl", "kubelet"):
        _symlink(root / "usr/bin" / program, "k8s")
    _symlink(root / "usr/sbin/init", "/usr/lib/systemd/systemd")
    for needed in ("opt/cni", "var/lib/kubelet", "etc/kubernetes/manifests", "etc/cni/net.d"):
        (root / needed).mkdir(parents=True, exist_ok=True)
    _symlink(root / "opt/cni/bin", "/usr/lib/cni")
    systemctl: list[str | Path] = ["chroot", root, "systemctl", "--quiet"]
    run([*systemctl, "set-default", "multi-user.target"], log)
    run([*systemctl, "mask", *MASKED], log)
    run([*systemctl, "enable", *ENABLED], log)


def _symlink(place: Path, target: str) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def _images(root: Path, work: Path, programs: dict[str, Path]) -> list[Image]:
    """Return the images that kubeadm expects. All programs of Kubernetes are one image with five names."""
    release = versions.KUBERNETES
    kube, coredns, pause = (work / f"{name}.layer.tar" for name in ("kube", "coredns", "pause"))
    components = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
    with tarfile.open(kube, "w") as tar:
        _add(tar, programs["kubernetes"], "usr/local/bin/k8s")
        for name in components:
            _add_link(tar, f"usr/local/bin/{name}", "k8s")
        _add_packet_filters(tar, root)
    for layer, name in ((coredns, "coredns"), (pause, "pause")):
        with tarfile.open(layer, "w") as tar:
            _add(tar, programs[name], name)
    names = [f"{REGISTRY}/{name}:{release}" for name in components if name != "etcd"]
    return [
        Image(
            [*names, f"{REGISTRY}/etcd:{versions.ETCD_TAG}"], kube, {"Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin"]}
        ),
        Image([f"{REGISTRY}/coredns/coredns:{versions.COREDNS}"], coredns, {"Entrypoint": ["/coredns"]}),
        Image([f"{REGISTRY}/pause:{versions.PAUSE_TAG}"], pause, {"Entrypoint": ["/pause"]}),
    ]


def _add_packet_filters(tar: tarfile.TarFile, root: Path) -> None:
    """Add the programs that kube-proxy calls and the libraries that they load, from the Debian of the node."""
    for name in ("bin", "sbin", "lib", "lib64"):
        if (root / name).is_symlink():
            _add_link(tar, name, f"usr/{name}")
    inside = ["usr/sbin/xtables-nft-multi", "usr/sbin/conntrack", "usr/sbin/nft"]
    inside += [str(path.relative_to(root)) for path in root.glob("usr/lib/*/xtables/*.so")]
    listed = ask(["chroot", root, "ldd", *(f"/{name}" for name in inside)])
    if listed is None:
        raise ClusterError("ldd failed in the root of the node image.")
    libraries = {word for line in listed.splitlines() for word in line.split() if word.startswith("/")}
    libraries = {name.rstrip(":") for name in libraries}
    for name in sorted({*(f"/{name}" for name in inside), *libraries}):
        place = _inside(root, name)
        _add(tar, root / place, place)
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            _add_link(tar, f"usr/sbin/{family}{suffix}", "xtables-nft-multi")


def _inside(root: Path, name: str) -> str:
    """Return the path of a file relative to the root, with links of folders resolved: usr/lib/x for /lib/x.

    Only links of folders are followed. An absolute link would lead out of the root, but Debian has none there.
    """
    path = Path(name.lstrip("/"))
    return str((root / path.parent).resolve().relative_to(root.resolve()) / path.name)


def _add(tar: tarfile.TarFile, source: Path, name: str) -> None:
    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    # A library is often a link to its versioned file: store the file itself under the requested name.
    tar.add(source.resolve(), name, filter=owned_by_root)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    tar.addfile(entry)


def _preload(root: Path, images: Path, log: Path) -> None:
    """Import the images with the image's containerd, in separate namespaces, so that none of its processes stays."""
    inside = [root / "run/preload.sh", root / "run/images.tar"]
    shutil.copy(OURS / "preload.sh", inside[0])
    images.rename(inside[1])
    entered = 'mount -t proc proc "$1/proc" && exec chroot "$1" /bin/sh /run/preload.sh /run/images.tar'
    run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", entered, "sh", root], log)
    for path in inside:
        path.unlink()


def _pack(root: Path, result: Path, log: Path) -> None:
    layer = result / "layer.tar"
    run(["tar", "--numeric-owner", "--one-file-system", "-C", root, "-cf", layer, "."], log)
    settings = {
        "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
        "StopSignal": "SIGRTMIN+3",
    }
    for name, content in archive.describe([Image([tag()], layer, settings)]).items():
        (result / name).write_bytes(content)
