"""A kubelet for tests: registers a node and runs each pod's container as a process of this host.

The API server, the scheduler, garbage collection and the tokens are real, and so is the program in the container; only
the container itself is missing. It implements the behaviour of a kubelet that the relay relies on: status updates,
pod-bound tokens, activeDeadlineSeconds, grace periods, termination messages, deletion.

    python -m tests.support.kubelet --kubeconfig FILE --node NAME --root FOLDER
"""

import argparse
import asyncio
import base64
import contextlib
import os
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import yaml

from podrelay.api import names
from podrelay.kube import config
from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError, ConflictError, InvalidError, NotFoundError, TransportError
from podrelay.kube.resources import PODS, Resource

NODES = Resource("", "v1", "nodes")
HEARTBEAT_SECONDS = 10
TERMINATION_MESSAGE_BYTES = 4096
LOG_TAIL_BYTES = 2048


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class PodProcess:
    """A pod, from its binding to its end."""

    def __init__(self, kubelet: "Kubelet", pod: dict[str, Any]) -> None:
        self.kubelet = kubelet
        self.pod = pod
        self.namespace, self.name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self.folder = kubelet.root / f"{self.namespace}_{self.name}_{pod['metadata']['uid']}"
        self.changed = asyncio.Event()
        self.started_at = self.start_time = now()
        self.ended_by: str | None = None

    @property
    def container(self) -> dict[str, Any]:
        containers = self.pod["spec"]["containers"]
        return next((c for c in containers if c["name"] == "task"), containers[0])

    def update(self, pod: dict[str, Any]) -> None:
        self.pod = pod
        self.changed.set()

    async def run(self) -> None:
        try:
            while not await self._mounts_secrets():
                await self._report("Pending", {"waiting": {"reason": "ContainerCreating"}})
                if "deletionTimestamp" in self.pod["metadata"]:
                    await self._remove_when_deleted()
                    return
                await asyncio.sleep(0.3)
            process = await self._start()
        except (OSError, ApiError, TransportError) as error:
            await self._report(
                "Failed", {"terminated": {"exitCode": 128, "reason": "StartError", "message": str(error)}}
            )
            return
        await self._report("Running", {"running": {"startedAt": self.started_at}})
        await self._wait(process)
        await self._report_end(process.returncode or 0)
        await self._remove_when_deleted()

    async def _mounts_secrets(self) -> bool:
        """Write the Secrets that the container mounts into the pod's folder; return whether all of them exist."""
        mounts = {mount["name"]: mount["mountPath"] for mount in self.container.get("volumeMounts", ())}
        for volume in self.pod["spec"].get("volumes", ()):
            if "secret" not in volume or volume["name"] not in mounts:
                continue
            path = f"/api/v1/namespaces/{self.namespace}/secrets/{volume['secret']['secretName']}"
            try:
                secret = orjson.loads(await self.kubelet.client.request("GET", path))
            except NotFoundError:
                return False
            folder = self._below(mounts[volume["name"]])
            folder.mkdir(parents=True, exist_ok=True)
            for key, value in secret.get("data", {}).items():
                (folder / key).write_bytes(base64.b64decode(value))
        return True

    def _below(self, path: str) -> Path:
        """Return the path on the host of a path of the container, which has no separate file system."""
        return self.folder / "root" / path.lstrip("/")

    async def _start(self) -> asyncio.subprocess.Process:
        self.folder.mkdir(parents=True, exist_ok=True)
        account = self.folder / "serviceaccount"
        account.mkdir()
        await self._write_token(account)
        server = urlsplit(self.kubelet.client.connection.server)
        environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PODRELAY_SERVICE_ACCOUNT_DIR": str(account),
            "PODRELAY_TERMINATION_MESSAGE_PATH": str(self.folder / "termination-log"),
            "KUBERNETES_SERVICE_HOST": server.hostname or "",
            "KUBERNETES_SERVICE_PORT": str(server.port),
            **{item["name"]: self._value(item) for item in self.container.get("env", ())},
        }
        if names.ENV_SECRET_PATH in environment:
            environment[names.ENV_SECRET_PATH] = str(self._below(environment[names.ENV_SECRET_PATH]))
        # Without a separate file system, the container's file must have another path.
        command = [
            part.replace(names.TERMINATION_MESSAGE_PATH, environment["PODRELAY_TERMINATION_MESSAGE_PATH"])
            for part in (*self.container.get("command", ()), *self.container.get("args", ()))
        ]
        self.started_at = now()
        with (self.folder / "log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=log, stderr=asyncio.subprocess.STDOUT, start_new_session=True
            )

    async def _write_token(self, account: Path) -> None:
        service_account = self.pod["spec"].get("serviceAccountName", "default")
        metadata = self.pod["metadata"]
        reference = {"kind": "Pod", "apiVersion": "v1", "name": self.name, "uid": metadata["uid"]}
        body = {"spec": {"boundObjectRef": reference, "expirationSeconds": 3600}}
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{service_account}/token"
        answer = orjson.loads(await self.kubelet.client.request("POST", path, body=body))
        (account / "token").write_text(answer["status"]["token"])
        (account / "namespace").write_text(self.namespace)
        shutil.copy(self.kubelet.ca_file, account / "ca.crt")

    def _value(self, item: dict[str, Any]) -> str:
        if "value" in item or "valueFrom" not in item:
            return str(item.get("value", "")).replace("$$", "$")
        value: Any = self.pod
        for part in item["valueFrom"]["fieldRef"]["fieldPath"].split("."):
            value = value[part]
        return str(value)

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        ended = asyncio.create_task(process.wait())
        kill_at: float | None = None
        loop = asyncio.get_running_loop()
        while not ended.done():
            if kill_at is None and (grace := self._must_end()) is not None:
                self._signal(process, signal.SIGTERM)
                kill_at = loop.time() + grace
            if kill_at is not None and loop.time() >= kill_at:
                self._signal(process, signal.SIGKILL)
                await ended
            self.changed.clear()
            changed = asyncio.create_task(self.changed.wait())
            await asyncio.wait({ended, changed}, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    def _must_end(self) -> float | None:
        """Return the grace period in seconds if the pod must end now."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if "deletionTimestamp" in metadata:
            self.ended_by = "deletion"
            return float(metadata.get("deletionGracePeriodSeconds", 0))
        deadline = spec.get("activeDeadlineSeconds")
        started = datetime.fromisoformat(self.start_time)
        if deadline is not None and (datetime.now(UTC) - started).total_seconds() >= deadline:
            self.ended_by = "deadline"
            return float(spec.get("terminationGracePeriodSeconds", 30))
        return None

    @staticmethod
    def _signal(process: asyncio.subprocess.Process, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    async def _report_end(self, code: int) -> None:
        exit_code = 128 - code if code < 0 else code
        terminated = {
            "exitCode": exit_code,
            "reason": "Completed" if exit_code == 0 else "Error",
            "message": self._termination_message(exit_code),
            "startedAt": self.started_at,
            "finishedAt": now(),
        }
        phase = "Succeeded" if exit_code == 0 else "Failed"
        if self.ended_by == "deadline":
            message = "Pod was active on the node longer than the specified deadline"
            await self._report("Failed", {"terminated": terminated}, reason="DeadlineExceeded", message=message)
        else:
            await self._report(phase, {"terminated": terminated})

    def _termination_message(self, exit_code: int) -> str:
        file = self.folder / "termination-log"
        message = file.read_bytes()[:TERMINATION_MESSAGE_BYTES] if file.exists() else b""
        policy = self.container.get("terminationMessagePolicy")
        if not message and exit_code != 0 and policy == "FallbackToLogsOnError":
            message = (self.folder / "log").read_bytes()[-LOG_TAIL_BYTES:]
        return message.decode(errors="replace")

    async def _report(self, phase: str, state: dict[str, Any], **more: str) -> None:
        ready = "running" in state
        status = {
            "phase": phase,
            "startTime": self.start_time,
            "containerStatuses": [
                {
                    "name": self.container["name"],
                    "image": self.container.get("image", ""),
                    "imageID": "",
                    "ready": ready,
                    "started": ready,
                    "restartCount": 0,
                    "state": state,
                }
            ],
            **more,
        }
        body = {"metadata": self._same_pod(), "status": status}
        while True:
            try:
                await self.kubelet.client.patch(PODS, self.namespace, self.name, body, subresource="status")
            except (NotFoundError, ConflictError, InvalidError):
                return  # the pod is gone, or another pod has its name
            except (ApiError, TransportError, TimeoutError):
                await asyncio.sleep(0.2)  # a kubelet retries until the report succeeds
            else:
                return

    def _same_pod(self) -> dict[str, str]:
        return {"uid": self.pod["metadata"]["uid"]}

    async def _remove_when_deleted(self) -> None:
        while "deletionTimestamp" not in self.pod["metadata"]:
            self.changed.clear()
            await self.changed.wait()
        await self.kubelet.finalize(self.pod)


class Kubelet:
    """A node and its pods."""

    def __init__(self, client: Client, node: str, root: Path, ca_file: Path) -> None:
        self.client = client
        self.node = node
        self.root = root
        self.ca_file = ca_file
        self.pods: dict[str, tuple[PodProcess, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat())
            group.create_task(self._watch())

    async def _register(self) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.node, "labels": {"kubernetes.io/hostname": self.node}},
        }
        with contextlib.suppress(ConflictError, ApiError):
            await self.client.request("POST", NODES.path(), body=body)
        await self._beat()

    async def _beat(self) -> None:
        resources = {"cpu": "64", "memory": "64Gi", "pods": "1000", "ephemeral-storage": "100Gi"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": now(),
            "message": "a kubelet for tests",
        }
        status = {"capacity": resources, "allocatable": resources, "conditions": [ready]}
        path = NODES.path(name=self.node, subresource="status")
        await self.client.request("PATCH", path, body={"status": status}, content_type="application/merge-patch+json")

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with contextlib.suppress(ApiError, TransportError, TimeoutError):
                await self._beat()

    async def _watch(self) -> None:
        selector = {"fieldSelector": f"spec.nodeName={self.node}"}
        while True:
            listed = orjson.loads(await self.client.request("GET", PODS.path(), params=selector))
            for pod in listed["items"]:
                self._seen(pod)
            params = {**selector, "watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
            with contextlib.suppress(ApiError, TransportError, TimeoutError):
                async for line in self.client.stream(PODS.path(), params, 3600):
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        break
                    self._handle(event["type"], event["object"])

    def _handle(self, kind: str, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "DELETED":
            known = self.pods.pop(uid, None)
            if known is not None and not known[1].done():
                # Deleted by force or without a grace period: the process is killed like an orphaned container.
                pod["metadata"].setdefault("deletionTimestamp", now())
                pod["metadata"]["deletionGracePeriodSeconds"] = 0
                known[0].update(pod)
        else:
            self._seen(pod)

    def _seen(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self.pods:
            self.pods[uid][0].update(pod)
        elif pod.get("status", {}).get("phase") in {"Succeeded", "Failed"} or "deletionTimestamp" in pod["metadata"]:
            if "deletionTimestamp" in pod["metadata"]:
                self._keep(asyncio.create_task(self._finalize_unstarted(pod)))
        else:
            process = PodProcess(self, pod)
            self.pods[uid] = (process, asyncio.create_task(process.run()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finalize_unstarted(self, pod: dict[str, Any]) -> None:
        """Report a pod that was deleted before it ran as failed, as a finalizer may keep it."""
        metadata = pod["metadata"]
        if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
            body = {"metadata": {"uid": metadata["uid"]}, "status": {"phase": "Failed"}}
            with contextlib.suppress(ApiError, TransportError, TimeoutError):
                await self.client.patch(PODS, metadata["namespace"], metadata["name"], body, subresource="status")
        await self.finalize(pod)

    async def finalize(self, pod: dict[str, Any]) -> None:
        """Report to the API server that nothing of a deleted pod runs any longer."""
        metadata = pod["metadata"]
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": metadata["uid"]},
        }
        path = PODS.path(metadata["namespace"], metadata["name"])
        while True:
            try:
                await self.client.request("DELETE", path, body=body)
            except (NotFoundError, ConflictError):
                return
            except (ApiError, TransportError, TimeoutError):
                await asyncio.sleep(0.2)
            else:
                return


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder for logs and tokens")
    arguments = parser.parse_args()
    connection = config.load(arguments.kubeconfig)
    arguments.root.mkdir(parents=True, exist_ok=True)
    ca_file = arguments.root / "ca.crt"
    cluster = yaml.safe_load(arguments.kubeconfig.read_text())["clusters"][0]["cluster"]
    ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    async with Client(connection, "podrelay-test-kubelet") as client:
        await Kubelet(client, arguments.node, arguments.root, ca_file).run()


if __name__ == "__main__":
    asyncio.run(main())
