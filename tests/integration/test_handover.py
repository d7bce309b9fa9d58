"""The hand-over from one pod to the next: created ahead, kept as a standby, or created after the end."""

from pathlib import Path
from typing import Any

import pytest

from dev.harness.kubectl import Manifest
from dev.harness.manifests import task_definition
from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from podrelay.api import names
from tests.support.relay import TASKS_FILE, Relay

pytestmark = pytest.mark.integration


class Lingering:
    """Runs whose containers keep running after the answer, until the test lets them end."""

    def __init__(self, relay: Relay, folder: Path) -> None:
        self.relay = relay
        self._folder = folder

    def define(self, name: str, **spec: Any) -> None:
        """Apply a definition like Chain; the container of a pod ends when `let_end` was called for the pod."""
        wait = f'code=$?; while [ ! -e "{self._folder}/$PODRELAY_POD_NAME" ]; do sleep 0.05; done; exit $code'
        command = ["sh", "-c", f"podrelay-runner {TASKS_FILE}:Chain; {wait}"]
        template = {"spec": {"containers": [{"name": "task", "image": "local", "command": command}]}}
        self.relay.define("Chain", name, **{"template": template, **spec})

    def let_end(self, *pods: str) -> None:
        for pod in pods:
            (self._folder / pod).touch()

    def pod(self, name: str) -> Manifest:
        """Return a pod once its container runs."""

        def running() -> Manifest | None:
            pods = (pod for pod in self.relay.kubectl.objects("pods") if pod["metadata"]["name"] == name)
            return next((pod for pod in pods if pod["status"].get("phase") == "Running"), None)

        return eventually(f"{name} runs", running) or {}

    def answered(self, record: str) -> None:
        records = self.relay.kubectl
        eventually(
            f"{record} has answered",
            lambda: record in records.names("taskiterations") and self.relay.record(record).get("response"),
        )


@pytest.fixture
def lingering(relay: Relay, tmp_path: Path) -> Lingering:
    return Lingering(relay, tmp_path)


def test_the_next_pod_is_created_at_the_answer_and_works_after_the_end(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("ahead", podCleanup="Never")
    relay.run("ahead", "ahead", input={"length": 3})

    second = lingering.pod("ahead-i2")
    assert second["metadata"]["annotations"][names.ANNOTATION_AFTER] == "ahead-i1"
    assert relay.status("ahead")["current"]["podName"] == "ahead-i1"
    assert relay.calls("ahead") == [(1, 1)]
    lingering.let_end("ahead-i1")
    relay.until("ahead", "the second iteration runs", iterations=2)
    lingering.answered("ahead-i2")
    assert "releasedAt" in relay.status("ahead")["current"]
    lingering.let_end("ahead-i2", "ahead-i3")

    status = relay.finished("ahead")
    assert (status["phase"], status["iterations"], status.get("disruptions", 0)) == ("Succeeded", 3, 0)
    assert relay.calls("ahead") == [(1, 1), (2, 1), (3, 1)]
    assert relay.pods("ahead") == ["ahead-i1", "ahead-i2", "ahead-i3"]


def test_a_container_in_which_nothing_else_runs_need_not_have_ended(relay: Relay) -> None:
    """In a PID namespace of its own, as in a container, the runner knows that it is alone; then it lingers."""
    linger = "import os; exit_ = os._exit; os._exit = lambda code: (__import__('time').sleep(8), exit_(code))"
    runner = f"{linger}; from podrelay.runner.main import main; main()"
    unshared = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    command = [*unshared, "python3", "-c", runner, f"{TASKS_FILE}:Chain"]
    template = {"spec": {"containers": [{"name": "task", "image": "local", "command": command}]}}
    relay.define("Chain", "quiet", template=template, podCleanup="Never")
    relay.run("quiet", "quiet")

    status = relay.finished("quiet")

    assert (status["phase"], status["iterations"]) == ("Succeeded", 2)
    assert relay.record("quiet-i1")["quiet"] is True
    terminated = relay.kubectl.get("pods", "quiet-i1")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert relay.record("quiet-i2")["startedAt"] < terminated["finishedAt"]


def test_after_the_end_means_never_two_pods(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("after", handover="AfterEnd", podCleanup="Never")
    relay.run("after", "after")

    lingering.answered("after-i1")
    # The operator has seen that answer when it has processed a later one.
    lingering.define("later")
    relay.run("later", "later")
    lingering.pod("later-i2")
    assert relay.pods("after") == ["after-i1"]
    lingering.let_end("after-i1", "after-i2", "later-i1", "later-i2")
    relay.finished("after")

    pods = [relay.kubectl.get("pods", name) for name in relay.pods("after")]
    assert [names.ANNOTATION_AFTER in pod["metadata"]["annotations"] for pod in pods] == [False, False]
    ended = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"]
    assert pods[1]["metadata"]["creationTimestamp"] >= ended[:19]


def test_a_standby_waits_with_its_module_imported_and_the_last_one_is_deleted(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("standby", standby={"afterSeconds": 0}, podCleanup="Never")
    relay.run("standby", "standby", input={"length": 2, "works": 6})

    lingering.pod("standby-i2")
    assert relay.calls("standby") == [(1, 1)]
    lingering.let_end("standby-i1")
    eventually("the third pod is there", lambda: "standby-i3" in relay.pods("standby"))
    lingering.let_end("standby-i2")

    status = relay.finished("standby")
    assert (status["phase"], status["iterations"], status.get("disruptions", 0)) == ("Succeeded", 2, 0)
    assert relay.calls("standby") == [(1, 1), (2, 1)]
    eventually("the standby is deleted", lambda: relay.pods("standby") == ["standby-i1", "standby-i2"])


def test_a_run_that_waits_gives_its_standby_back(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("waits", standby={"afterSeconds": 0}, podCleanup="Always")
    relay.run("waits", "waits", input={"length": 2, "works": 2, "seconds": 6})
    given_back = lingering.pod("waits-i2")["metadata"]["uid"]
    lingering.let_end("waits-i1")

    relay.until("waits", "it waits", reason="Waiting")
    eventually("the standby is gone", lambda: relay.pods("waits") == ["waits-i1"])
    second = lingering.pod("waits-i2")
    lingering.let_end("waits-i2")

    assert second["metadata"]["uid"] != given_back
    assert relay.finished("waits")["iterations"] == 2
    assert relay.calls("waits") == [(1, 1), (2, 1)]


def test_an_abort_during_the_hand_over_deletes_the_next_pod(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("aborted", podCleanup="Never", abortGracePeriodSeconds=2)
    relay.run("aborted", "aborted")
    lingering.pod("aborted-i2")

    relay.abort("aborted")

    assert relay.finished("aborted")["phase"] == "Aborted"
    eventually("the next pod is deleted", lambda: relay.pods("aborted") == ["aborted-i1"])
    assert relay.calls("aborted") == [(1, 1)]


def test_a_pod_that_is_deleted_before_its_turn_is_replaced(lingering: Lingering) -> None:
    relay = lingering.relay
    lingering.define("deleted")
    relay.run("deleted", "deleted")
    lingering.pod("deleted-i2")
    its_uid = ("get", "pod", "deleted-i2", "-o", "jsonpath={.metadata.uid}")
    uid = relay.kubectl.do(*its_uid)

    relay.kubectl.do("delete", "pod", "deleted-i2", "--wait=false")
    lingering.let_end("deleted-i2")  # otherwise it takes its grace period of a minute
    eventually("it is gone", lambda: relay.kubectl(*its_uid).stdout != uid)
    lingering.let_end("deleted-i1")

    status = relay.finished("deleted")
    assert (status["phase"], status["iterations"]) == ("Succeeded", 2)
    assert relay.calls("deleted") == [(1, 1), (2, 1)]


def test_where_a_quota_has_room_for_one_pod_the_next_one_comes_after_the_end(
    lingering: Lingering,
) -> None:
    relay = lingering.relay
    lingering.define("quota", podCleanup="Always")
    relay.kubectl.do("create", "quota", "one", "--hard=pods=1")
    try:
        relay.run("quota", "quota")
        lingering.answered("quota-i1")
        lingering.let_end("quota-i1", "quota-i2")
        status = relay.finished("quota")
    finally:
        relay.kubectl.do("delete", "quota", "one")

    assert (status["phase"], status["iterations"], status.get("disruptions", 0)) == ("Succeeded", 2, 0)
    assert relay.calls("quota") == [(1, 1), (2, 1)]


def test_an_operator_that_dies_during_the_hand_over_loses_nothing(idle_relay: Relay, tmp_path: Path) -> None:
    lingering = Lingering(idle_relay, tmp_path)
    lingering.define("killed", podCleanup="Never")
    with OperatorProcess(idle_relay.kubectl, tmp_path / "first") as first:
        idle_relay.run("killed", "killed")
        lingering.pod("killed-i2")
        first.kill()
    lingering.let_end("killed-i1", "killed-i2")
    with OperatorProcess(idle_relay.kubectl, tmp_path / "second"):
        status = idle_relay.finished("killed")

    assert (status["phase"], status["iterations"], status.get("disruptions", 0)) == ("Succeeded", 2, 0)
    assert idle_relay.calls("killed") == [(1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"standby": {"afterSeconds": 5}, "reporting": "TerminationMessage"}, "spec.standby needs spec.reporting: API"),
        ({"standby": {"afterSeconds": 5}, "handover": "AfterEnd"}, "it needs spec.handover: Ahead"),
        ({"handover": "Never"}, "spec.handover"),
    ],
)
def test_what_contradicts_itself_is_refused(relay: Relay, spec: Manifest, words: str) -> None:
    refused = relay.kubectl.apply(task_definition("wrong", **{"template": relay.template("Chain"), **spec}))

    assert words in refused.stderr
