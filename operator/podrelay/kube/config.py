"""Loads the address of the API server and credentials from a kubeconfig file or the pod's service account."""

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from podrelay.kube.errors import KubeConfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS = 30.0
"""Kubelets renew projected tokens long before they expire; client-go rereads once a minute."""


@dataclass(frozen=True)
class Connection:
    """The configuration of a connection to one API server.

    Attributes:
        server: the base URL, without a trailing slash.
        ssl_context: verifies the server and contains the client certificate; None for plain HTTP.
        token: returns the current bearer token, or None if there is none.
        namespace: the default namespace of the configuration.
        token_blocks: whether `token` may take seconds, because it runs a credential plugin.
    """

    server: str
    ssl_context: ssl.SSLContext | None
    token: Callable[[], str | None]
    namespace: str
    token_blocks: bool = False


def load(kubeconfig: Path | None = None, context: str | None = None, *, with_credentials: bool = True) -> Connection:
    """Load the connection from `kubeconfig`, or else $KUBECONFIG, the pod's service account or ~/.kube/config.

    Args:
        kubeconfig: the file.
        context: context of the file; None: its current one.
        with_credentials: load the token and the client certificate, too; not for requests with their own credentials.

    Raises:
        KubeConfigError: there is no usable configuration.
    """
    if not _is_in_cluster(kubeconfig, context):
        return _from_file(kubeconfig or _default_path(), context, with_credentials=with_credentials)
    return _in_cluster() if with_credentials else replace(_in_cluster(), token=lambda: None)


def _is_in_cluster(kubeconfig: Path | None, context: str | None) -> bool:
    is_named = kubeconfig is not None or context is not None or os.environ.get("KUBECONFIG")
    return not is_named and (SERVICE_ACCOUNT / "token").exists()


def _default_path() -> Path:
    configured = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return next((path for path in configured if path.exists()), None) or (
        configured[0] if configured else Path.home() / ".kube" / "config"
    )


def _in_cluster() -> Connection:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubeConfigError("this pod has a service account but no KUBERNETES_SERVICE_HOST; set enableServiceLinks")
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_context=ssl.create_default_context(cafile=SERVICE_ACCOUNT / "ca.crt"),
        token=_file_token(SERVICE_ACCOUNT / "token"),
        namespace=(SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip(),
    )


def _from_file(path: Path, context: str | None, *, with_credentials: bool) -> Connection:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise KubeConfigError(
            f"cannot read the kubeconfig {path}: {error.strerror}; give --kubeconfig or set KUBECONFIG"
        ) from error
    except yaml.YAMLError as error:
        raise KubeConfigError(f"the kubeconfig {path} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeConfigError(f"{path} is not a kubeconfig; give --kubeconfig or set KUBECONFIG")
    name = context or document.get("current-context")
    if not name:
        raise KubeConfigError(f"the kubeconfig {path} has no current-context; give --context")
    chosen = _entry(document, "contexts", "context", name, path)
    cluster = _entry(document, "clusters", "cluster", chosen.get("cluster", ""), path)
    has_user = bool(chosen.get("user")) and with_credentials
    user = _entry(document, "users", "user", chosen["user"], path) if has_user else {}
    server = str(cluster.get("server", "")).rstrip("/")
    if not server:
        raise KubeConfigError(f"the cluster of context {name} in {path} has no server")
    try:
        ssl_context = _ssl_context(cluster, user, path.parent) if server.startswith("https:") else None
    except (OSError, ValueError) as error:
        raise KubeConfigError(f"a certificate of context {name} in {path} cannot be used: {error}") from error
    return Connection(
        server=server,
        ssl_context=ssl_context,
        token=_user_token(user, path.parent),
        namespace=chosen.get("namespace") or "default",
        token_blocks="exec" in user,
    )


def _entry(document: dict[str, Any], section: str, key: str, name: str, path: Path) -> dict[str, Any]:
    for item in document.get(section) or ():
        if item.get("name") == name:
            return item.get(key) or {}
    raise KubeConfigError(f"the kubeconfig {path} has no {key} named {name!r}")


def _ssl_context(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _data(user, "client-certificate", folder), _data(user, "client-key", folder)
    if certificate and key:
        # The ssl module loads client certificates only from files.
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def _data(entry: dict[str, Any], key: str, folder: Path) -> bytes | None:
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"], validate=True)
    return (folder / entry[key]).read_bytes() if entry.get(key) else None


def _user_token(user: dict[str, Any], folder: Path) -> Callable[[], str | None]:
    if user.get("exec"):
        return _exec_token(user["exec"])
    if user.get("tokenFile"):
        return _file_token(folder / user["tokenFile"])
    token = user.get("token")
    return lambda: token


def _file_token(path: Path) -> Callable[[], str]:
    cached: tuple[float, str] | None = None

    def token() -> str:
        nonlocal cached
        if cached is None or time.monotonic() - cached[0] > _TOKEN_REREAD_SECONDS:
            try:
                cached = (time.monotonic(), path.read_text(encoding="utf-8").strip())
            except OSError as error:
                if cached is None:
                    raise KubeConfigError(f"cannot read the token file {path}: {error.strerror}") from error
        return cached[1]

    return token


def _exec_token(plugin: dict[str, Any]) -> Callable[[], str]:
    """Return a function that runs a credential plugin and caches the token until it expires."""
    cached: tuple[datetime, str] | None = None
    asking = threading.Lock()

    def token() -> str:
        nonlocal cached
        with asking:  # requests come from many threads, which share one token
            if cached is None or cached[0] <= datetime.now(UTC):
                cached = ask()
            return cached[1]

    def ask() -> tuple[datetime, str]:
        variables = {item["name"]: item["value"] for item in plugin.get("env") or ()}
        info = {"apiVersion": plugin.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False}}
        command = [plugin["command"], *(plugin.get("args") or ())]
        try:
            result = subprocess.run(
                command,
                env={**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(info)},
                capture_output=True,
                check=True,
                timeout=60,
            )
            status = json.loads(result.stdout)["status"]
            expiry = status.get("expirationTimestamp")
            return datetime.fromisoformat(expiry) if expiry else datetime.max.replace(tzinfo=UTC), status["token"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise KubeConfigError(
                f"the credential plugin {' '.join(command)!r} gave no token: {type(error).__name__}: {error}"
            ) from error

    return token
