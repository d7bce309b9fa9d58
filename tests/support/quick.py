"""kubectl, but what tests do again and again goes over a connection that stays open, without a process of its own."""

import functools
import http.client
import json
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

from podrelay.kube import config
from podrelay.kube.config import Connection
from tests.support.kubectl import Kubectl, Manifest, Result

_open = threading.local()


class QuickKubectl(Kubectl):
    """As Kubectl; what it cannot do over its own connection (other identities, flags, many objects) kubectl does."""

    @classmethod
    def instead_of(cls, kubectl: Kubectl) -> Self:
        """The same cluster, namespace and identity."""
        return cls(kubectl.kubeconfig, kubectl.env, kubectl.namespace, kubectl.identity)

    def get(self, resource: str, name: str, *flags: str) -> Manifest:
        if flags or self._is_for_kubectl(resource):
            return super().get(resource, name, *flags)
        return self._read(f"{self._path(resource)}/{name}")

    def names(self, resource: str, *flags: str) -> list[str]:
        has_others = bool(flags) and (len(flags) != 2 or flags[0] != "--selector")
        if has_others or self._is_for_kubectl(resource):
            return super().names(resource, *flags)
        query = f"?{urlencode({'labelSelector': flags[1]})}" if flags else ""
        return [item["metadata"]["name"] for item in self._read(self._path(resource) + query)["items"]]

    def create(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        if flags or len(manifests) != 1 or self._is_for_kubectl(_resource_of(manifests[0])):
            return super().create(*manifests, flags=flags)
        return self._send("POST", self._path(_resource_of(manifests[0])), manifests[0], "json")

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        if flags or len(manifests) != 1 or self._is_for_kubectl(_resource_of(manifests[0])):
            return super().apply(*manifests, flags=flags)
        (manifest,) = manifests
        path = f"{self._path(_resource_of(manifest))}/{manifest['metadata']['name']}"
        return self._send("PATCH", f"{path}?fieldManager=tests&force=true", manifest, "apply-patch+yaml")

    def patch(self, resource: str, name: str, patch: Manifest | list[Manifest], *flags: str) -> Result:
        if flags or self._is_for_kubectl(resource):
            return super().patch(resource, name, patch, *flags)
        kind = "json-patch+json" if isinstance(patch, list) else "merge-patch+json"
        return self._send("PATCH", f"{self._path(resource)}/{name}", patch, kind)

    def _is_for_kubectl(self, resource: str) -> bool:
        """Whether only kubectl knows who asks, where, and what the path of the resource is."""
        is_known = resource in {"pods", "configmaps"} or resource.endswith(".podrelay.dev")
        return bool(self.identity) or not self.namespace or not is_known

    def _path(self, resource: str) -> str:
        return collection(resource, self.namespace)

    def _read(self, path: str) -> Manifest:
        result = self._send("GET", path)
        assert result, str(result)
        answer: Manifest = json.loads(result.stdout)
        return answer

    def _send(
        self, method: str, path: str, body: Manifest | list[Manifest] | None = None, kind: str = "json"
    ) -> Result:
        text = json.dumps(body) if body is not None else None
        try:
            return self._once(method, path, text, kind)
        except (http.client.HTTPException, OSError):
            if method == "POST":
                raise  # it may have happened
            return self._once(method, path, text, kind)  # the API server closes connections that were idle

    def _once(self, method: str, path: str, text: str | None, kind: str) -> Result:
        connection = _connection_of_this_thread(self.kubeconfig)
        try:
            connection.request(method, path, text, {"Content-Type": f"application/{kind}"})
            with connection.getresponse() as response:
                answer = response.read().decode()
                return Result(f"{method} {path}", 0 if response.status < 400 else response.status, answer, "")
        except (http.client.HTTPException, OSError):
            connection.close()  # it opens again with the next request
            raise


def collection(resource: str, namespace: str) -> str:
    """The path of all objects of a resource: pods, or one of ours by its full name."""
    plural, _, group = resource.partition(".")
    root = f"/apis/{group}/v1alpha1" if group else "/api/v1"
    return f"{root}/namespaces/{namespace}/{plural}"


def connect(kubeconfig: Path, timeout: float | None = 30) -> http.client.HTTPSConnection:
    """A connection to the API server, with the credentials of the kubeconfig."""
    to = _load(kubeconfig)
    return http.client.HTTPSConnection(urlsplit(to.server).netloc, context=to.ssl_context, timeout=timeout)


def _resource_of(manifest: Manifest) -> str:
    group = manifest["apiVersion"].rpartition("/")[0]
    return f"{manifest['kind'].lower()}s" + (f".{group}" if group else "")


def _connection_of_this_thread(kubeconfig: Path) -> http.client.HTTPSConnection:
    if not hasattr(_open, "connection"):
        _open.connection = connect(kubeconfig)
    connection: http.client.HTTPSConnection = _open.connection
    return connection


@functools.cache
def _load(kubeconfig: Path) -> Connection:
    return config.load(kubeconfig)
