"""The real kubectl with one cluster and one identity. Tests see what users see: its output and its exit code."""

import json
import os
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml

from dev.cluster import Cluster

Manifest = dict[str, Any]

_ERROR = re.compile(r'^(?=Error from server|The \w+ ")', re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """The result of one call of kubectl. True if it succeeded."""

    command: str
    code: int
    stdout: str
    stderr: str

    def __bool__(self) -> bool:
        return self.code == 0

    def __str__(self) -> str:
        return f"$ {self.command}\n{self.stdout}{self.stderr}(exit code {self.code})"


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a cluster, an identity and, unless it is empty, a namespace; its methods create further ones.

    Calling it runs any command and returns its Result; `do` fails the test if the command fails.
    """

    kubeconfig: Path
    env: dict[str, str]
    namespace: str = ""
    identity: tuple[str, ...] = ()

    @classmethod
    def of(cls, cluster: Cluster, folder: Path) -> Self:
        """Return kubectl as the cluster's administrator; `folder` is for kubectl's cache."""
        env = os.environ | cluster.env | {"KUBECACHEDIR": str(folder / "cache"), "KUBECTL_KUBERC": "false"}
        # A call of kubectl takes a tenth of a second; without this, a fifth of that was garbage collection.
        env["GOGC"] = "off"
        # A kubeconfig without credentials, for other identities: a client certificate would take precedence over a
        # token.
        settings = yaml.safe_load(cluster.kubeconfig.read_text(encoding="utf-8"))
        bare = settings | {"users": [], "contexts": []}
        bare["contexts"] = [{"name": "bare", "context": {"cluster": settings["clusters"][0]["name"], "user": ""}}]
        bare["current-context"] = "bare"
        (folder / "bare.kubeconfig").write_text(yaml.safe_dump(bare), encoding="utf-8")
        return cls(cluster.kubeconfig, env | {"BARE_KUBECONFIG": str(folder / "bare.kubeconfig")})

    def in_namespace(self, namespace: str) -> Self:
        """Return kubectl with the same identity in another namespace."""
        return replace(self, namespace=namespace)

    def as_token(self, token: str) -> Self:
        """Return kubectl with the identity of a token."""
        return replace(self, kubeconfig=Path(self.env["BARE_KUBECONFIG"]), identity=("--token", token))

    def as_service_account(self, name: str) -> Self:
        """Return kubectl as a service account of the same namespace, with a token that is not bound to an object."""
        return self.as_token(self.do("create", "token", name).strip())

    def __call__(self, *arguments: str, stdin: str | Manifest | list[Manifest] | None = None) -> Result:
        """Run a command, which may fail; manifests are passed as the file `-`."""
        text = stdin if isinstance(stdin, str | None) else _stream(stdin)
        place = ("--namespace", self.namespace) if self.namespace else ()
        ended = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *self.identity, *place, *arguments],
            input=text,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return Result("kubectl " + " ".join(arguments), ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command that continues to run, with its output as a pipe."""
        place = ("--namespace", self.namespace) if self.namespace else ()
        return subprocess.Popen(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *self.identity, *place, *arguments],
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, *arguments: str, stdin: str | Manifest | list[Manifest] | None = None) -> str:
        """Run a command that must succeed; return its output."""
        result = self(*arguments, stdin=stdin)
        assert result, str(result)
        return result.stdout

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        """Apply manifests, as users do."""
        return self("apply", *flags, "-f", "-", stdin=list(manifests))

    def create(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> Result:
        """Create objects; this writes no annotation, so the size limit of apply does not exist."""
        return self("create", *flags, "-f", "-", stdin=list(manifests))

    def refusals(self, manifests: list[Manifest]) -> list[str]:
        """Create manifests in one call, all of which must be rejected; return the error for each."""
        result = self.create(*manifests, flags=("--dry-run=server",))
        texts = _ERROR.split(result.stderr)[1:]
        assert len(texts) == len(manifests), f"{len(texts)} of {len(manifests)} were rejected: {result}"
        return texts

    def replace(self, manifest: Manifest, flags: tuple[str, ...] = ()) -> Result:
        """Replace the whole object."""
        return self("replace", *flags, "-f", "-", stdin=manifest)

    def get(self, resource: str, name: str, *flags: str) -> Manifest:
        """Return an object that must exist."""
        result: Manifest = json.loads(self.do("get", resource, name, "--output", "json", *flags))
        return result

    def names(self, resource: str, *flags: str) -> list[str]:
        """Return the names of all objects that the flags select."""
        return self.do("get", resource, "--output", "jsonpath={.items[*].metadata.name}", *flags).split()

    def objects(self, resource: str, *flags: str) -> list[Manifest]:
        """Return all objects that the flags select, from one read: none of them can be deleted meanwhile."""
        items: list[Manifest] = json.loads(self.do("get", resource, "--output", "json", *flags))["items"]
        return items

    def patch(self, resource: str, name: str, patch: Manifest | list[Manifest], *flags: str) -> Result:
        """Apply a merge patch, or a JSON patch if the patch is a list."""
        kind = "json" if isinstance(patch, list) else "merge"
        return self("patch", resource, name, "--type", kind, "--patch", json.dumps(patch), *flags)

    def delete_all(self, resource: str) -> None:
        """Delete all objects of a kind in the namespace, without waiting until they are gone."""
        self.do("delete", resource, "--all", "--wait=false")

    def set_status(self, resource: str, name: str, status: Manifest) -> Result:
        """Merge into the status, which only the operator may do."""
        return self.patch(resource, name, {"status": status}, "--subresource", "status")


def _stream(manifests: Manifest | list[Manifest]) -> str:
    # Separate documents and not a List: kubectl validates a List itself, with other messages.
    return "\n".join(json.dumps(manifest) for manifest in ([manifests] if isinstance(manifests, dict) else manifests))
