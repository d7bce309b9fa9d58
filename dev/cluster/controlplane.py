"""The `control-plane` cluster: the real Kubernetes API without nodes, as four ordinary processes of this user.

For tests and benchmarks of clients of the API: ready in a few seconds, without root or Docker. Nothing runs pods; a
test registers nodes and acts as the kubelet itself. Its data is disposable: etcd does not wait for the disk, and an
incomplete cluster is removed and created again.
"""

import json
import secrets
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from dev.cluster import kubectl, versions
from dev.cluster.errors import ClusterError
from dev.cluster.model import Cluster
from dev.cluster.paths import Checkout, make_private, write_atomic
from dev.cluster.processes import Process, start, stop
from dev.cluster.steps import run, step, tail
from dev.cluster.tools import tool

KIND: Final = "control-plane"
ADDRESS = "127.0.0.1"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

# The API server must advertise an address, and rejects a loopback address. No client uses it, because there are no
# pods; this one is reserved for documentation.
ADVERTISED = "192.0.2.1"
SERVICES = "10.96.0.0/16"

FIRST_PORT = 20000
PORTS = 10000  # all of them below 32768, where Linux begins to hand out ports to outgoing connections

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of one control plane, all on the loopback interface."""

    apiserver: int
    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one control plane."""

    root: Path

    @property
    def pki(self) -> Path:
        """The folder of certificates and keys, with the layout of kubeadm."""
        return self.root / "pki"

    @property
    def logs(self) -> Path:
        """The folder with one log for each program, and the audit log."""
        return self.root / "logs"

    @property
    def audit_log(self) -> Path:
        """The requests to the API server, one JSON object per line."""
        return self.logs / "audit.log"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "kubeconfig"

    @property
    def tokens(self) -> Path:
        """The administrator's token, in the format of the API server's token file."""
        return self.root / "tokens.csv"

    def client(self, program: str) -> Path:
        """Return the kubeconfig of one of the programs."""
        return self.root / "clients" / f"{program}.conf"

    def log(self, program: str) -> Path:
        """Return the log of one of the programs."""
        return self.logs / f"{program}.log"

    def record(self, program: str) -> Path:
        """Return the file that records a program's process."""
        return self.root / "processes" / f"{program}.json"


def up(checkout: Checkout) -> Cluster:
    """Start the control plane unless it is already up, and return it."""
    if running := find(checkout):
        return running
    binaries = tool("kubernetes").parent
    tool("kubectl")
    down(checkout)
    files = Files(make_private(checkout.of(KIND)))
    ports = choose_ports(checkout)
    server = f"https://{ADDRESS}:{ports.apiserver}"
    name = f"{checkout.name}-control-plane"
    with step("certificates and keys"):
        _make_certificates(files, ports, binaries, name)
        _make_settings(files)
    try:
        with step("etcd, API server, controllers and scheduler", expected=4):
            _start_all(files, ports, binaries)
    except BaseException:
        _stop_all(files)  # the logs are kept for inspection
        raise
    return Cluster(
        kind=KIND,
        name=name,
        kubeconfig=files.kubeconfig,
        server=server,
        version=versions.KUBERNETES,
        audit_log=files.audit_log,
        logs=files.logs,
        bin=checkout.bin,
    ).save(checkout)


def find(checkout: Checkout) -> Cluster | None:
    """Return the control plane if all of its programs run and it responds."""
    cluster = Cluster.load(checkout, KIND)
    if cluster is None or cluster.version != versions.KUBERNETES:
        return None
    whole = all(process is not None and process.alive() for process in _processes(Files(checkout.of(KIND))).values())
    return cluster if whole and kubectl.answers(cluster.kubeconfig) else None


def down(checkout: Checkout) -> bool:
    """End every process and remove every file. Return whether there was anything to remove."""
    folder = checkout.of(KIND)
    if not folder.exists():
        return False
    _stop_all(Files(folder))
    shutil.rmtree(folder)
    return True


def choose_ports(checkout: Checkout) -> Ports:
    """Return free ports, if possible the same ones each time, so that a copied kubeconfig stays valid."""
    first = int(checkout.ident, 16) % PORTS
    numbers = (FIRST_PORT + (first + offset) % PORTS for offset in range(PORTS))
    found = list(islice(_free(numbers), 5))
    if len(found) < 5:
        raise ClusterError(
            f"No five ports are free on {ADDRESS} from {FIRST_PORT} on.", "End the programs that listen there."
        )
    return Ports(*found)


def _free(ports: Iterator[int]) -> Iterator[int]:
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((ADDRESS, port))
            except OSError:
                continue
        yield port


def _make_certificates(files: Files, ports: Ports, binaries: Path, name: str) -> None:
    """Let kubeadm create them, as it does for real clusters; it does not need root for this."""
    settings = files.root / "kubeadm.json"
    api_version = "kubeadm.k8s.io/v1beta4"
    init = {
        "apiVersion": api_version,
        "kind": "InitConfiguration",
        "localAPIEndpoint": {"advertiseAddress": ADVERTISED, "bindPort": ports.apiserver},
        "nodeRegistration": {"name": "localhost"},
    }
    cluster = {
        "apiVersion": api_version,
        "kind": "ClusterConfiguration",
        "clusterName": name,
        "kubernetesVersion": versions.KUBERNETES,
        "controlPlaneEndpoint": f"{ADDRESS}:{ports.apiserver}",
        "certificatesDir": str(files.pki),
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {"serviceSubnet": SERVICES},
    }
    write_atomic(settings, f"{json.dumps(init)}\n---\n{json.dumps(cluster)}\n")
    kubeadm: list[str | Path] = [binaries / "kubeadm", "init", "phase"]
    log = files.log("kubeadm")
    clients = files.root / "clients"
    run([*kubeadm, "certs", "all", "--config", settings], log)
    for phase in ("super-admin", "controller-manager", "scheduler"):
        run([*kubeadm, "kubeconfig", phase, "--config", settings, "--kubeconfig-dir", clients], log)
        # kubeadm writes the advertised address for programs next to the API server; here it leads nowhere.
        conf = clients / f"{phase}.conf"
        write_atomic(conf, conf.read_text().replace(f"https://{ADVERTISED}:", f"https://{ADDRESS}:"))
    # "super-admin" is in the group system:masters; "admin" needs a role binding that kubeadm would create later.
    (clients / "super-admin.conf").rename(files.kubeconfig)
    _make_token(files)


def _make_token(files: Files) -> None:
    """Give the administrator a token: verifying a certificate with each request takes much longer."""
    user, token = "kubernetes-super-admin", secrets.token_hex(24)
    write_atomic(files.tokens, f'{token},{user},{user},"system:masters"\n')
    config: list[str | Path] = [tool("kubectl"), "config", "--kubeconfig", files.kubeconfig]
    log = files.log("kubeadm")
    run([*config, "set-credentials", user, f"--token={token}"], log)
    for data in ("client-certificate-data", "client-key-data"):
        run([*config, "unset", f"users.{user}.{data}"], log)


def _make_settings(files: Files) -> None:
    """Write the two configuration files that replace flags."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {
                "level": "Metadata",
                "resources": [
                    {"group": "podrelay.dev"},
                    {"group": "", "resources": ["pods", "pods/*", "events"]},
                    {"group": "batch", "resources": ["jobs", "jobs/*"]},
                    {"group": "events.k8s.io", "resources": ["events"]},
                    {"group": "coordination.k8s.io", "resources": ["leases"]},
                ],
            },
            {"level": "None"},
        ],
    }
    scheduler = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(files.client("scheduler")), "qps": 1000, "burst": 1000},
        "leaderElection": {"leaderElect": False},
        "enableProfiling": False,
    }
    write_atomic(files.root / "audit-policy.json", json.dumps(policy))
    write_atomic(files.root / "scheduler.json", json.dumps(scheduler))


def _start_all(files: Files, ports: Ports, binaries: Path) -> None:
    commands = {
        "etcd": etcd_flags(files, ports),
        "kube-apiserver": apiserver_flags(files, ports),
        "kube-controller-manager": controller_manager_flags(files, ports),
        "kube-scheduler": scheduler_flags(files, ports),
    }

    def launch(program: str) -> None:
        start(
            [binaries / program, *commands[program]],
            record=files.record(program),
            log=files.log(program),
            cwd=files.root,
        )

    def all_alive() -> None:
        for program, process in _processes(files).items():
            if process is not None and not process.alive():
                log = files.log(program)
                raise ClusterError(f"{program} ended. The end of its log:\n{tail(log)}", f"The whole log is {log}")

    def account() -> bool:
        return kubectl.kubectl(files.kubeconfig, "get", "serviceaccount", "default", "--namespace=default") is not None

    launch("etcd")
    launch("kube-apiserver")
    kubectl.wait_for("API server", lambda: kubectl.answers(files.kubeconfig, "/livez"), 60, still_possible=all_alive)
    launch("kube-controller-manager")
    launch("kube-scheduler")
    kubectl.wait_for("ready API server", lambda: kubectl.answers(files.kubeconfig), 60, still_possible=all_alive)
    # The controller manager creates it, and it is the last thing that a test needs to create pods.
    kubectl.wait_for("service account in the namespace default", account, 60, still_possible=all_alive)
    all_alive()


def etcd_flags(files: Files, ports: Ports) -> list[str]:
    """Return the flags of etcd: TLS, as in real clusters, but without waiting for the disk."""
    pki = files.pki / "etcd"
    client, peer = f"https://{ADDRESS}:{ports.etcd}", f"https://{ADDRESS}:{ports.etcd_peer}"
    return [
        "--name=default",
        f"--data-dir={files.root / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        f"--cert-file={pki / 'server.crt'}",
        f"--key-file={pki / 'server.key'}",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        "--client-cert-auth",
        f"--peer-cert-file={pki / 'peer.crt'}",
        f"--peer-key-file={pki / 'peer.key'}",
        f"--peer-trusted-ca-file={pki / 'ca.crt'}",
        "--peer-client-cert-auth",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={8 * GIB}",
        "--log-level=warn",
    ]


def apiserver_flags(files: Files, ports: Ports) -> list[str]:
    """Return the flags of the API server: those of kubeadm, and an audit log."""
    pki = files.pki
    return [
        f"--bind-address={ADDRESS}",
        f"--secure-port={ports.apiserver}",
        f"--advertise-address={ADVERTISED}",
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICES}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        "--profiling=false",
        f"--etcd-servers=https://{ADDRESS}:{ports.etcd}",
        f"--etcd-cafile={pki / 'etcd/ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--token-auth-file={files.tokens}",
        f"--audit-policy-file={files.root / 'audit-policy.json'}",
        f"--audit-log-path={files.audit_log}",
        "--audit-log-maxsize=2000",  # MB: a test reads one file, so it must not be rotated during the test
        "--audit-log-maxbackup=1",
    ]


def controller_manager_flags(files: Files, ports: Ports) -> list[str]:
    """Return the flags for all default controllers, with a higher request rate: tests delete many namespaces."""
    pki, client = files.pki, files.client("controller-manager")
    return [
        f"--bind-address={ADDRESS}",
        f"--secure-port={ports.controller_manager}",
        f"--kubeconfig={client}",
        f"--authentication-kubeconfig={client}",
        f"--authorization-kubeconfig={client}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        "--controllers=*",
        "--leader-elect=false",
        "--profiling=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def scheduler_flags(files: Files, ports: Ports) -> list[str]:
    """Return the flags of the default scheduler; its configuration file has the other settings."""
    client = files.client("scheduler")
    return [
        f"--config={files.root / 'scheduler.json'}",
        f"--bind-address={ADDRESS}",
        f"--secure-port={ports.scheduler}",
        f"--authentication-kubeconfig={client}",
        f"--authorization-kubeconfig={client}",
    ]


def _processes(files: Files) -> dict[str, Process | None]:
    """Return the recorded processes by program; None for a program without a record."""
    return {program: Process.load(files.record(program)) for program in PROGRAMS}


def _stop_all(files: Files) -> None:
    found = _processes(files)
    # Clients before servers, so that their logs do not end with connection errors; etcd last.
    stop([process for program, process in found.items() if process is not None and program != "etcd"], patience=5)
    stop([process for program, process in found.items() if process is not None and program == "etcd"])
