"""The gateway in a real cluster, as the chart deploys it, with TLS, and ways to reach it."""

import base64
import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import trustme

from dev.harness.chart import RELEASE_NAMESPACE, deploy
from dev.harness.gateway import GraphQL
from dev.harness.kubectl import Kubectl, Manifest
from tests.support.nodes import placed
from tests.support.portforward import port_forward

HOST = f"podrelay-gateway.{RELEASE_NAMESPACE}.svc"
SECRET = "podrelay-gateway-test-tls"


@dataclass(frozen=True)
class DeployedGateway:
    """The replicas of one Deployment.

    Attributes:
        system: kubectl in their namespace.
        authority: the CA of their certificate.
    """

    system: Kubectl
    authority: trustme.CA

    def pods(self) -> list[Manifest]:
        """Return the replicas that are not being deleted."""
        names = self.system.names("pods", "--selector=app.kubernetes.io/component=gateway")
        pods = [self.system.get("pod", name) for name in names]
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    @contextlib.contextmanager
    def reached(self, target: str, port: int | str) -> Iterator[str]:
        """Yield an address of `pod/NAME`, or of one of the replicas by `service/podrelay-gateway`."""
        with port_forward(self.system, target, port) as address:
            yield address

    def client(self, address: str, token: str | None, namespace: str) -> GraphQL:
        """Return a client of a user that trusts only the gateway's CA."""
        trusting = ssl.create_default_context()
        self.authority.configure_trust(trusting)
        return GraphQL(address, token, namespace, trusting)


@contextlib.contextmanager
def deployed_gateway(admin: Kubectl) -> Iterator[DeployedGateway]:
    """Upgrade the release to two replicas of a gateway, on nodes that tests do not remove, and back at the end."""
    system, authority = admin.in_namespace(RELEASE_NAMESPACE), trustme.CA()
    applied = system.apply(_tls_secret(authority.issue_cert(HOST, "127.0.0.1")))
    assert applied, str(applied)
    values = {
        "gateway.deploy": True,
        "gateway.tls.secretName": SECRET,
        # The image may have changed under the same tag, and the Secret has changed.
        "gateway.podAnnotations": {"podrelay.dev/test": uuid4().hex},
        **placed("gateway", "control plane"),
    }
    try:
        deploy(admin, values)
        yield DeployedGateway(system, authority)
    finally:
        deploy(admin, {"gateway.deploy": False})
        system("delete", "secret", SECRET)


def _tls_secret(pair: trustme.LeafCert) -> Manifest:
    data = {"tls.crt": pair.cert_chain_pems[0], "tls.key": pair.private_key_pem}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(blob.bytes()).decode() for name, blob in data.items()},
    }
