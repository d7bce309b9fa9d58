"""An admission webhook that a test answers itself: slowly, never, or with a new message each time."""

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

from dev.harness.kubectl import Kubectl, Manifest

Answer = Callable[[int], str | None]
"""Gets the number of the call, from 1, and returns the reason to reject the pod, or None; it may be slow."""


class Webhook:
    """The requests so far.

    Attributes:
        closing: set at the end; slow answers wait for it.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self.calls = 0
        self.closing = threading.Event()

    def review(self, body: bytes) -> bytes:
        """Answer one AdmissionReview."""
        request = json.loads(body)["request"]
        with self._lock:
            self.calls += 1
            number = self.calls
        refusal = self._answer(number)
        response: dict[str, Any] = {"uid": request["uid"], "allowed": refusal is None}
        if refusal is not None:
            response["status"] = {"code": 403, "message": refusal}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return json.dumps(review).encode()

    def wait(self, seconds: float) -> None:
        """Wait for some seconds, unless the test is over."""
        self.closing.wait(seconds)


@contextmanager
def pod_webhook(
    kubectl: Kubectl,
    folder: Path,
    definition: str,
    answer: Callable[["Webhook", int], str | None],
    *,
    mutates: bool = False,
) -> Iterator[Webhook]:
    """Let `answer` decide about the admission of the pods of one definition in the namespace of `kubectl`.

    With `mutates`, it is called before the pods are stamped and validated.
    """
    webhook = Webhook(lambda number: answer(webhook, number))
    authority = trustme.CA()
    certificate = folder / f"webhook-{definition}.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = webhook.review(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # the API server has not waited for the answer

    with Server(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        kind = "MutatingWebhookConfiguration" if mutates else "ValidatingWebhookConfiguration"
        configuration = _configuration(kind, kubectl.namespace, definition, server.server_port, authority)
        kubectl.do("create", "-f", "-", stdin=configuration)
        try:
            yield webhook
        finally:
            webhook.closing.set()
            kubectl.do("delete", kind, configuration["metadata"]["name"])
            server.shutdown()


def _configuration(kind: str, namespace: str, definition: str, port: int, authority: trustme.CA) -> Manifest:
    name = f"{namespace}-{definition}"
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{definition}.example.org",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/",
                    "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
                },
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchLabels": {"podrelay.dev/definition": definition}},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": 30,
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
