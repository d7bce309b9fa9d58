"""kubectl, but what tests do again and again goes over a connection that stays open, without a process of its own."""

import functools
import http.client
import json
import threading
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from podrelay.kube import config
from podrelay.kube.config import Connection
from tests.support.kubectl import Kubectl, Manifest, Result

_open = threading.local()


class QuickKubectl(Kubectl):
    """As Kubectl, for the administrator and our own resources; of the flags it knows --selector only."""

    def get(self, resource: str, name: str, *flags: str) -> Manifest:
        assert not flags
        return self._read(f"{self._collection(resource)}/{name}")

    def names(self, resource: str, *flags: str) -> list[str]:
        query = f"?{urlencode({'labelSelector': flags[1]})}" if flags else ""
        return [item["metadata"]["name"] for item in self._read(self._collection(resource) + query)["items"]]

    def create(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        (manifest,) = manifests
        return self._send("POST", self._collection_of(manifest), manifest, "json")

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        (manifest,) = manifests
        path = f"{self._collection_of(manifest)}/{manifest['metadata']['name']}?fieldManager=tests&force=true"
        return self._send("PATCH", path, manifest, "apply-patch+yaml")

    def patch(self, resource: str, name: str, patch: Manifest | list[Manifest], *flags: str) -> Result:
        return self._send("PATCH", f"{self._collection(resource)}/{name}", patch, "merge-patch+json")

    def _collection_of(self, manifest: Manifest) -> str:
        return self._collection(f"{manifest['kind'].lower()}s.{manifest['apiVersion'].partition('/')[0]}")

    def _collection(self, resource: str) -> str:
        plural, _, group = resource.partition(".")
        root = f"/apis/{group}/v1alpha1" if group else "/api/v1"
        return f"{root}/namespaces/{self.namespace}/{plural}"

    def _read(self, path: str) -> Manifest:
        result = self._send("GET", path)
        assert result, str(result)
        answer: Manifest = json.loads(result.stdout)
        return answer

    def _send(
        self, method: str, path: str, body: Manifest | list[Manifest] | None = None, kind: str = "json"
    ) -> Result:
        connection = _connection_of_this_thread(self.kubeconfig)
        text = json.dumps(body) if body is not None else None
        try:
            connection.request(method, path, text, {"Content-Type": f"application/{kind}"})
            with connection.getresponse() as response:
                answer = response.read().decode()
                return Result(f"{method} {path}", 0 if response.status < 400 else response.status, answer, "")
        except (http.client.HTTPException, OSError):
            connection.close()  # it opens again with the next request
            raise


def _connection_of_this_thread(kubeconfig: Path) -> http.client.HTTPSConnection:
    if not hasattr(_open, "connection"):
        to = _load(kubeconfig)
        _open.connection = http.client.HTTPSConnection(urlsplit(to.server).netloc, context=to.ssl_context, timeout=30)
    connection: http.client.HTTPSConnection = _open.connection
    return connection


@functools.cache
def _load(kubeconfig: Path) -> Connection:
    return config.load(kubeconfig)
