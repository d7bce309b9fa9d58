"""A private Docker daemon of this checkout, for hosts where none runs: `up` starts it, and `down` removes all of it.

It has its own data, sockets, network namespace, mount namespace and control groups, so everything that belongs to it
can be found and removed even after the daemon was killed or the machine was switched off. `up` first removes the
remains of an incomplete one.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from ipaddress import IPv4Network
from pathlib import Path

from dev.cluster.docker import cgroups, network
from dev.cluster.docker.network import Network
from dev.cluster.errors import ClusterError
from dev.cluster.paths import Checkout, cache, make_private, which
from dev.cluster.processes import Process, start, stop
from dev.cluster.steps import ask, run, step, tail

CAP_SYS_RESOURCE = 24
HERE = Path(__file__).resolve().parent

# Program -> the Debian package that contains it.
PACKAGES = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "runc": "runc",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
}


def host(checkout: Checkout) -> str:
    """Return DOCKER_HOST of the private daemon."""
    return f"unix://{checkout.docker / 'docker.sock'}"


def obstacle() -> str | None:
    """Return why a private daemon cannot be started here, or None if it can."""
    if os.geteuid() != 0:
        return "it needs root"
    missing = missing_programs()
    if missing and which("apt-get") is None:
        return f"{', '.join(missing)} missing, and they can be installed only on Debian or Ubuntu"
    return None


def missing_programs() -> list[str]:
    """Return the programs that a private daemon needs and that are not installed."""
    return [program for program in PACKAGES if which(program) is None]


def install() -> None:
    """Install the missing programs."""
    apt_install({PACKAGES[program] for program in missing_programs()})


def apt_install(packages: set[str]) -> None:
    """Install Debian packages; the package lists are updated only if that fails without it."""
    if not packages:
        return
    log = cache() / "logs" / "apt.log"
    log.unlink(missing_ok=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = [which("apt-get") or "apt-get", "--option=DPkg::Lock::Timeout=300", "--quiet"]
    command = [*apt, "install", "--yes", "--no-install-recommends", *sorted(packages)]
    with step(f"install {', '.join(sorted(packages))}", 30):
        try:
            run(command, log, env=env)
        except ClusterError:
            run([*apt, "update"], log, env=env, hint="Packages cannot be downloaded; check the network.")
            run(command, log, env=env, hint=f"Install them yourself, then try again. The whole log is {log}")


def find(checkout: Checkout) -> Network | None:
    """Return the network of the private daemon if that runs and responds."""
    process = Process.load(_record(checkout))
    if process is None or not process.alive():
        return None
    program = which("docker") or "docker"
    env = os.environ | {"DOCKER_HOST": host(checkout)}
    if ask([program, "version", "--format={{.Server.Version}}"], env=env, timeout=10) is None:
        return None
    subnet = (checkout.docker / "subnet").read_text()
    return network.plan(checkout, IPv4Network(subnet))


def up(checkout: Checkout) -> Network:
    """Start the daemon, after removing the remains of an earlier one."""
    down(checkout)
    folder = make_private(checkout.docker)
    log = checkout.of("kind") / "logs" / "dockerd.log"
    with step("start a private Docker daemon for this checkout"):
        try:
            joined = network.up(checkout, log)
            (folder / "subnet").write_text(str(joined.subnet))
            settings = folder / "daemon.json"
            settings.write_text(json.dumps(daemon_settings(checkout, wrapper=_wrapper(folder)), indent=2))
            start(
                [
                    HERE / "launch.sh",
                    network.NAMESPACES / joined.namespace,
                    _resolv_conf(folder),
                    which("dockerd") or "dockerd",
                    "--config-file",
                    settings,
                ],
                record=_record(checkout),
                log=log,
                env={key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")},
            )
            _wait(checkout, log)
        except BaseException:
            _end(checkout)
            raise
    return joined


def daemon_settings(checkout: Checkout, wrapper: Path | None) -> dict[str, object]:
    """Return the daemon's settings; they replace the host's /etc/docker/daemon.json."""
    folder = checkout.docker
    settings: dict[str, object] = {
        "hosts": [host(checkout)],
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "run"),
        "pidfile": str(folder / "docker.pid"),
        "cgroup-parent": f"/{checkout.name}",
        # Without systemd, Docker itself must manage the control groups.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "log-level": "warn",
    }
    if wrapper:
        settings |= {"runtimes": {"podrelay": {"path": str(wrapper)}}, "default-runtime": "podrelay"}
    return settings


def lacks_sys_resource(status: str) -> bool:
    """Return whether CAP_SYS_RESOURCE is unavailable, from the text of /proc/self/status."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return not int(line.split()[1], 16) >> CAP_SYS_RESOURCE & 1
    return False


def down(checkout: Checkout) -> None:
    """End the daemon and remove everything that belongs or belonged to it."""
    if os.geteuid() != 0:
        return  # without root, no private daemon was ever started
    if checkout.docker.exists() or (network.NAMESPACES / checkout.name).exists():
        _end(checkout)


def _end(checkout: Checkout) -> None:
    process = Process.load(_record(checkout))
    if process:
        stop([process], patience=15)
    # Processes that outlived the daemon: its helpers are in its network, and containers are in its control groups.
    for pid in network.processes(checkout):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    cgroups.remove(checkout.name)
    network.down(checkout)
    network.wait_until_gone(checkout)
    shutil.rmtree(checkout.docker, ignore_errors=True)
    with contextlib.suppress(OSError):
        checkout.docker.parent.rmdir()  # the last checkout removes the shared folder


def _record(checkout: Checkout) -> Path:
    return checkout.docker / "dockerd.json"


def _wait(checkout: Checkout, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while find(checkout) is None:
        process = Process.load(_record(checkout))
        if process is None or not process.alive() or time.monotonic() > deadline:
            raise ClusterError(f"dockerd did not start. The end of its log:\n{tail(log)}", f"The whole log is {log}")
        time.sleep(0.1)


def _wrapper(folder: Path) -> Path | None:
    """Write and return the wrapper of runc, if the sandbox requires one."""
    if not lacks_sys_resource(Path("/proc/self/status").read_text()):
        return None
    wrapper = folder / "runc-wrapper"
    interpreter = Path(sys.executable).resolve()
    # -I and -S: ignore the environment and site-packages, so that it starts in a few milliseconds.
    wrapper.write_text(f"#!{interpreter} -IS\n{(HERE / 'runc_wrapper.py').read_text()}")
    wrapper.chmod(0o755)
    return wrapper


def _resolv_conf(folder: Path) -> str:
    """Return a resolv.conf to use if all name servers of the host are on its loopback interface, otherwise ""."""
    try:
        servers = [
            line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if "nameserver" in line
        ]
    except (OSError, IndexError):
        return ""
    upstream = Path("/run/systemd/resolve/resolv.conf")
    if not servers or not all(server.startswith("127.") for server in servers) or not upstream.exists():
        return ""
    copied = folder / "resolv.conf"
    shutil.copy(upstream, copied)
    return str(copied)
