"""Runs in a world without a cluster: with children, with invalid templates, and runs that can never continue."""

import contextlib
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from podrelay import Controller, TaskDefinition
from podrelay.api import names
from podrelay.cli.manifests import manifest
from podrelay.kube.errors import InvalidError
from podrelay.local.calls import CallRuntime
from podrelay.local.clock import Clock
from podrelay.local.errors import StuckError
from podrelay.local.history import Event
from podrelay.local.memory_api import MAX_OBJECT_BYTES, PODS
from podrelay.local.outcome import result_of
from podrelay.local.processes import ProcessContainer, ProcessRuntime
from podrelay.local.world import NAMESPACE, World


class Plain(TaskDefinition):
    """Continues as often as its input says."""

    id = "plain"
    title = "Plain"
    wait: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def run(self, input: dict[str, Any], controller: Controller) -> Any:
        if controller.task.iteration <= input.get("more", 0):
            return controller.response.continue_(seconds=60)
        return {"input": input}


DYING = """
import os
from podrelay import TaskDefinition

class Dying(TaskDefinition):
    id = "dying"
    title = "Dying"

    def run(self, input, controller):
        print("about to die", flush=True)
        os.kill(os.getpid(), 9)
"""

PRINTING = """
from podrelay import TaskDefinition

class Printing(TaskDefinition):
    id = "printing"
    title = "Printing"

    def run(self, input, controller):
        for number in range(200):
            print("line", number)
"""


class Lonely(World):
    """A world that runs the task above in the current thread."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.seen: list[Event] = []
        super().__init__(folder, Clock(), skips_waits=True, changed=self.seen.append)
        self.use(CallRuntime(self.api, {"plain": Plain}, self.clock, self.settle))
        definition = manifest(Plain, "plain", "image")
        definition["spec"] |= changes
        self.define(definition)

    def run(self, name: str, **spec: Any) -> None:
        self.create_run({"metadata": {"name": name}, "spec": {"definition": "plain", **spec}})

    def phases(self) -> dict[str, str]:
        return {name: run["status"]["phase"] for name, run in self.runs.items()}


def test_children_run_too_and_belong_to_their_parent(tmp_path: Path) -> None:
    world = Lonely(tmp_path, triggers=["plain"])
    world.run("parent", input={"more": 1})
    world.run("child", parent="parent", input={"more": 2})
    world.run("grandchild", parent="child")
    world.run("other")
    world.run_to_the_end()

    result = result_of("parent", world.runs, world.records)

    assert set(world.phases().values()) == {"Succeeded"}
    assert [child.name for child in result.children] == ["child"]
    assert [child.name for child in result.children[0].children] == ["grandchild"]
    assert result.children[0].iterations == 3
    assert "  <TaskRun child Succeeded" in repr(result)


def test_pods_are_created_and_deleted_as_in_a_cluster(tmp_path: Path) -> None:
    world = Lonely(tmp_path, podCleanup="Always")
    world.run("shop", input={"more": 1})
    world.run_to_the_end()

    pods = [event for event in world.seen if event.plural == PODS]
    assert {event.object["metadata"]["name"] for event in pods} == {"shop-i1", "shop-i2"}
    assert len([event for event in pods if event.is_deletion]) == 2
    assert world.api.find(PODS, NAMESPACE).items == []


def test_a_run_without_a_definition_fails_after_a_timeout(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.create_run({"metadata": {"name": "shop"}, "spec": {"definition": "unknown"}})
    world.run_to_the_end()

    assert world.runs["shop"]["status"]["reason"] == "DefinitionNotFound"


def test_an_invalid_template_is_reported(tmp_path: Path) -> None:
    world = Lonely(tmp_path, template={"spec": {"containers": []}})
    world.run("shop")
    world.run_to_the_end()

    status = world.runs["shop"]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidTemplate")
    assert "add the container that does the work" in status["message"]


def test_a_rejected_pod_is_reported_with_the_message_of_the_api_server(tmp_path: Path) -> None:
    annotations = {"large": "x" * MAX_OBJECT_BYTES}
    world = Lonely(tmp_path)
    refused = world.api.create

    def create(plural: str, namespace: str, body: dict[str, Any], **options: Any) -> dict[str, Any]:
        if plural == PODS:
            body = body | {"metadata": body["metadata"] | {"annotations": annotations}}
        return refused(plural, namespace, body, **options)

    world.api.create = create  # type: ignore[method-assign]
    world.run("shop")
    world.run_to_the_end()

    status = world.runs["shop"]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InternalError")
    assert "request is too large" in status["message"]


def test_a_foreign_pod_with_the_same_name_is_not_used(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.api.create(PODS, NAMESPACE, {"metadata": {"name": "shop-i1"}, "spec": {"schedulingGates": [{"name": "x"}]}})
    world.run("shop")
    world.run_to_the_end()

    status = world.runs["shop"]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "NameTaken")
    assert world.api.get(PODS, NAMESPACE, "shop-i1")


def test_the_output_of_a_process_that_died_is_in_its_record(tmp_path: Path) -> None:
    world = World(tmp_path, Clock(), skips_waits=True)
    (tmp_path / "dying.py").write_text(DYING)
    runtime = ProcessRuntime(
        world.api,
        tmp_path,
        lambda: world.clock.ahead,
        lambda _pod, _line: None,
        world.wake,
    )
    with contextlib.closing(runtime):
        world.use(runtime)
        definition = manifest(Plain, "plain", "image") | {"metadata": {"name": "dying"}}
        container = definition["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["podrelay-runner", f"{tmp_path / 'dying.py'}:Dying"]
        definition["spec"] |= {"id": "dying", "retry": {"limit": 0}}
        world.define(definition)
        world.create_run({"metadata": {"name": "shop"}, "spec": {"definition": "dying"}})
        world.run_to_the_end()

    record = world.records["shop-i1"]
    assert record["response"]["status"] == "error"
    assert "about to die" in record["console"]["text"]


def test_what_a_process_prints_is_shown_before_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the thread that reads its output is late."""
    read = ProcessContainer._read

    def late(container: ProcessContainer) -> None:
        container._process.wait()
        read(container)

    monkeypatch.setattr(ProcessContainer, "_read", late)
    shown: list[str] = []
    world = World(
        tmp_path,
        Clock(),
        skips_waits=True,
        changed=lambda event: shown.append("answer") if event.object.get("response") else None,
    )
    (tmp_path / "printing.py").write_text(PRINTING)
    runtime = ProcessRuntime(
        world.api,
        tmp_path,
        lambda: world.clock.ahead,
        lambda _pod, line: shown.append(line),
        world.wake,
    )
    with contextlib.closing(runtime):
        world.use(runtime)
        definition = manifest(Plain, "plain", "image") | {"metadata": {"name": "printing"}}
        container = definition["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["podrelay-runner", f"{tmp_path / 'printing.py'}:Printing"]
        definition["spec"] |= {"id": "printing"}
        world.define(definition)
        world.create_run({"metadata": {"name": "shop"}, "spec": {"definition": "printing"}})
        world.run_to_the_end()

    assert shown.index("line 199") < shown.index("answer")


def test_a_run_that_can_never_continue_is_an_error_with_the_reason(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.run("shop", suspend=True)

    with pytest.raises(StuckError, match=r"shop will never continue: Suspended: set spec\.suspend to false"):
        world.run_to_the_end()


def test_deleting_a_run_deletes_everything_of_it(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.run("shop", input={"more": 5})
    world.call_after(90, lambda: world.api.delete(names.TASK_RUNS, NAMESPACE, "shop"))
    world.run_to_the_end()

    assert world.api.find(names.TASK_ITERATIONS, NAMESPACE).items == []
    assert world.api.find(PODS, NAMESPACE).items == []
    assert sorted(world.records) == ["shop-i1", "shop-i2"]


def test_a_lost_state_fails_the_run(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.run("shop", input={"more": 5})
    world.call_after(30, lambda: world.api.delete(names.TASK_ITERATIONS, NAMESPACE, "shop-i1"))
    world.run_to_the_end()

    assert world.runs["shop"]["status"]["reason"] == "StateLost"


def test_a_deleted_pod_is_replaced(tmp_path: Path) -> None:
    world = Lonely(tmp_path)
    world.run("shop", delaySeconds=60)
    world.settle()
    world.clock.advance(60)
    world.settle()
    world.api.delete(PODS, NAMESPACE, "shop-i1")
    world.run_to_the_end()

    status = world.runs["shop"]["status"]
    assert (status["phase"], status["disruptions"]) == ("Succeeded", 1)


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [({"delaySeconds": None}, 60), ({"delaySeconds": 120}, 120), ({"delaySeconds": 7200}, 7200)],
)
def test_a_run_that_has_not_started_gets_another_start(tmp_path: Path, spec: dict[str, Any], seconds: int) -> None:
    world = Lonely(tmp_path)
    world.run("shop", delaySeconds=3600)
    world.call_after(60, lambda: world.api.patch(names.TASK_RUNS, NAMESPACE, "shop", {"spec": spec}))
    world.run_to_the_end()

    run = world.runs["shop"]
    waited = moment(run["status"]["startedAt"]) - moment(run["metadata"]["creationTimestamp"])
    assert seconds <= waited.total_seconds() < seconds + 5
    with pytest.raises(InvalidError, match="the run has already started or is finished"):
        world.api.patch(names.TASK_RUNS, NAMESPACE, "shop", {"spec": {"delaySeconds": 5}})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_with_real_time_a_run_waits_until_it_is_aborted(tmp_path: Path) -> None:
    began = threading.Event()

    def changed(event: Event) -> None:
        if event.object.get("status", {}).get("reason") == "Waiting":
            began.set()

    world = World(tmp_path, Clock(), skips_waits=False, changed=changed)
    world.use(CallRuntime(world.api, {"plain": Plain}, world.clock, world.settle))
    world.define(manifest(Plain, "plain", "image"))
    world.create_run({"metadata": {"name": "shop"}, "spec": {"definition": "plain", "input": {"more": 1}}})

    def abort() -> None:
        began.wait(30)
        world.abort_all("enough")

    user = threading.Thread(target=abort)
    user.start()
    world.run_to_the_end()
    user.join()

    assert world.runs["shop"]["status"]["message"] == "enough"
    assert world.clock.ahead == 0
