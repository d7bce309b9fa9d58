"""kubectl, with frequent operations of tests over a persistent connection instead of a separate process."""

import functools
import http.client
import json
import threading
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlencode, urlsplit

from dev.harness.kubectl import Kubectl, Manifest, Result
from podrelay.kube import config
from podrelay.kube.config import Connection

DRY_RUN = "--dry-run=server"

_open = threading.local()
_IDLE_SECONDS = 5.0


class QuickKubectl(Kubectl):
    """Like Kubectl; operations that its own connection does not support (more flags, resources, objects) use kubectl.

    Errors are the messages of the API server, which kubectl repeats.
    """

    @classmethod
    def instead_of(cls, kubectl: Kubectl) -> Self:
        """Return an instance with the same cluster, namespace and identity."""
        return cls(kubectl.kubeconfig, kubectl.env, kubectl.namespace, kubectl.identity)

    def get(self, resource: str, name: str, *flags: str) -> Manifest:
        if flags or self._is_for_kubectl(resource):
            return super().get(resource, name, *flags)
        return self._read(f"{self._path(resource)}/{name}")

    def names(self, resource: str, *flags: str) -> list[str]:
        return [item["metadata"]["name"] for item in self.objects(resource, *flags)]

    def objects(self, resource: str, *flags: str) -> list[Manifest]:
        has_others = bool(flags) and (len(flags) != 2 or flags[0] != "--selector")
        if has_others or self._is_for_kubectl(resource):
            return super().objects(resource, *flags)
        query = f"?{urlencode({'labelSelector': flags[1]})}" if flags else ""
        items: list[Manifest] = self._read(self._path(resource) + query)["items"]
        return items

    def create(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        is_unknown = not {DRY_RUN}.issuperset(flags)
        if is_unknown or len(manifests) != 1 or self._is_for_kubectl(_resource_of(manifests[0])):
            return super().create(*manifests, flags=flags)
        path = self._path(_resource_of(manifests[0]))
        return self._send("POST", f"{path}?{_query(*flags)}", manifests[0], "json")

    def replace(self, manifest: Manifest, flags: tuple[str, ...] = ()) -> Result:
        resource = _resource_of(manifest)
        if not {DRY_RUN}.issuperset(flags) or self._is_for_kubectl(resource):
            return super().replace(manifest, flags)
        path = f"{self._path(resource)}/{manifest['metadata']['name']}"
        found = self._send("GET", path)
        if not found:
            return found
        version = json.loads(found.stdout)["metadata"]["resourceVersion"]
        whole = manifest | {"metadata": {"resourceVersion": version} | manifest["metadata"]}
        return self._send("PUT", f"{path}?{_query(*flags)}", whole)

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        if flags or len(manifests) != 1 or self._is_for_kubectl(_resource_of(manifests[0])):
            return super().apply(*manifests, flags=flags)
        (manifest,) = manifests
        path = f"{self._path(_resource_of(manifest))}/{manifest['metadata']['name']}"
        return self._send("PATCH", f"{path}?fieldManager=tests&force=true", manifest, "apply-patch+yaml")

    def patch(self, resource: str, name: str, patch: Manifest | list[Manifest], *flags: str) -> Result:
        is_of_status = flags[:2] == ("--subresource", "status")
        if not {DRY_RUN}.issuperset(flags[2:] if is_of_status else flags) or self._is_for_kubectl(resource):
            return super().patch(resource, name, patch, *flags)
        kind = "json-patch+json" if isinstance(patch, list) else "merge-patch+json"
        path = f"{self._path(resource)}/{name}{'/status' if is_of_status else ''}"
        return self._send("PATCH", f"{path}?{_query(*flags)}", patch, kind)

    def delete_all(self, resource: str) -> None:
        if self._is_for_kubectl(resource):
            super().delete_all(resource)
        else:
            deleted = self._send("DELETE", self._path(resource))
            assert deleted, str(deleted)

    def ask(self, method: str, path: str, body: Manifest | list[Manifest] | None = None, kind: str = "json") -> Result:
        """Send any request; `kind` is that of the body, such as merge-patch+json."""
        return self._send(method, path, body, kind)

    def _is_for_kubectl(self, resource: str) -> bool:
        """Return whether only kubectl knows the identity, the namespace or the path of the resource."""
        is_known = resource in {"pods", "configmaps"} or resource.endswith(".podrelay.dev")
        return self.identity[:1] not in {(), ("--token",)} or not self.namespace or not is_known

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
                raise  # the write may have happened
            return self._once(method, path, text, kind)  # the API server closes idle connections

    def _once(self, method: str, path: str, text: str | None, kind: str) -> Result:
        connection = _connection_of_this_thread(self.kubeconfig, has_credentials=not self.identity)
        headers = {"Content-Type": f"application/{kind}"}
        token = self.identity[1] if self.identity else token_of(self.kubeconfig)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, prefix_of(self.kubeconfig) + path, text, headers)
            with connection.getresponse() as response:
                answer = response.read().decode()
                code = 0 if response.status < 400 else response.status
                return Result(f"{method} {path}", code, answer, _words(answer) if code else "")
        except (http.client.HTTPException, OSError):
            connection.close()  # the next request opens it again
            raise


def collection(resource: str, namespace: str) -> str:
    """Return the path of a collection: pods, or a resource of Podrelay by its full name."""
    plural, _, group = resource.partition(".")
    root = f"/apis/{group}/v1alpha1" if group else "/api/v1"
    return f"{root}/namespaces/{namespace}/{plural}"


def connect(
    kubeconfig: Path, timeout: float | None = 30, *, has_credentials: bool = True
) -> http.client.HTTPConnection:
    """Return a connection to the API server, with the credentials of the kubeconfig if `has_credentials` is true."""
    to = _load(kubeconfig, has_credentials)
    if to.ssl_context is None:  # podrelay dev
        return http.client.HTTPConnection(urlsplit(to.server).netloc, timeout=timeout)
    return http.client.HTTPSConnection(urlsplit(to.server).netloc, context=to.ssl_context, timeout=timeout)


def prefix_of(kubeconfig: Path) -> str:
    """Return what precedes each path in URLs of the API server."""
    return urlsplit(_load(kubeconfig, True).server).path


def token_of(kubeconfig: Path) -> str | None:
    """Return the token in the kubeconfig, if it has one and no certificate."""
    return _load(kubeconfig, True).token()


def _resource_of(manifest: Manifest) -> str:
    group = manifest["apiVersion"].rpartition("/")[0]
    return f"{manifest['kind'].lower()}s" + (f".{group}" if group else "")


def _query(*flags: str) -> str:
    """Return the query that kubectl adds to a write, so that unknown fields are rejected."""
    return "fieldValidation=Strict" + ("&dryRun=All" if DRY_RUN in flags else "")


def _words(answer: str) -> str:
    """Return the message of an error after its reason, in the format of kubectl."""
    try:
        status = json.loads(answer)
    except ValueError:
        return answer
    return f"Error from server ({status.get('reason')}): {status.get('message')}"


def _connection_of_this_thread(kubeconfig: Path, *, has_credentials: bool) -> http.client.HTTPConnection:
    connections: dict[tuple[Path, bool], http.client.HTTPConnection] = _open.__dict__.setdefault("connections", {})
    to = (kubeconfig, has_credentials)
    if to not in connections:
        connections[to] = connect(kubeconfig, has_credentials=has_credentials)
    used_at = _open.__dict__.setdefault("used_at", {})
    if time.monotonic() - used_at.get(to, 0.0) > _IDLE_SECONDS:
        connections[to].close()  # the API server may have closed it; a POST cannot be retried
    used_at[to] = time.monotonic()
    return connections[to]


@functools.cache
def _load(kubeconfig: Path, has_credentials: bool) -> Connection:
    return config.load(kubeconfig, with_credentials=has_credentials)
