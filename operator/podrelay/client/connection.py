"""Creates a client of the `kubernetes` package from a kubeconfig or the pod's service account, without global state."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from podrelay.client.errors import ConfigurationError
from podrelay.client.packages import kubernetes

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_config: Any = kubernetes.config
"""The functions of this module have no type hints."""
_CONNECTIONS: Final = 32
"""How many connections of one client are kept open for reuse; further ones are closed after use."""


@dataclass(frozen=True)
class Connection:
    """One API server, as one user.

    Attributes:
        client: an ApiClient of the kubernetes package; thread-safe.
        namespace: the default namespace of the configuration.
    """

    client: Any
    namespace: str


def connect(kubeconfig: str | Path | None = None, context: str | None = None) -> Connection:
    """Connect as `kubeconfig` says, or else $KUBECONFIG, the pod's service account, or ~/.kube/config.

    Raises:
        ConfigurationError: none of them can be used.
    """
    is_named = kubeconfig is not None or context is not None or os.environ.get("KUBECONFIG")
    # Created as in new_client_from_config: the plain constructor copies a default that other code may have set.
    configuration = type.__call__(kubernetes.client.Configuration)
    try:
        if not is_named and (_SERVICE_ACCOUNT / "token").exists():
            namespace = _in_cluster(configuration)
        else:
            path = str(kubeconfig or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
            namespace = _from_file(configuration, os.path.expanduser(path), context)  # noqa: PTH111 - may be a list
    except (_config.ConfigException, OSError) as error:
        raise ConfigurationError(
            f"no cluster to connect to: {error}; set a kubeconfig, or one of its contexts"
        ) from error
    configuration.retries = False  # Resources retries; the package would repeat the wrong requests
    configuration.connection_pool_maxsize = _CONNECTIONS
    client = kubernetes.client.ApiClient(configuration)
    client.user_agent = f"podrelay-client/{version('podrelay')}"
    return Connection(client, namespace)


def _in_cluster(configuration: Any) -> str:
    _config.load_incluster_config(client_configuration=configuration)
    return (_SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()


def _from_file(configuration: Any, path: str, context: str | None) -> str:
    contexts, current = _config.list_kube_config_contexts(config_file=path)
    _config.load_kube_config(
        config_file=path, context=context, client_configuration=configuration, persist_config=False
    )
    chosen = next((item for item in contexts if item["name"] == context), current)
    return chosen["context"].get("namespace") or "default"
