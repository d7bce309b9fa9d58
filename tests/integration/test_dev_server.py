"""`podrelay dev` as a process: what only it does. That tasks end as in a cluster is tested by the other files."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dev.harness import forked
from dev.harness.devserver import DevServer
from dev.harness.gateway import GraphQL
from dev.harness.kubectl import Kubectl
from dev.harness.manifests import TASK_DEFINITIONS, TASK_RUNS, Manifest, task_definition, task_run
from dev.harness.operator import PODRELAY
from dev.harness.waiting import eventually
from podrelay import TaskService
from podrelay.local.container import ENV_FOLDER
from tests.support.relay import FINISHED

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("PODRELAY_TEST_KILLS", "3"))

TASKS = """
import os, subprocess, sys, time
from podrelay import Answer, Controller, TaskDefinition

WORD = "first"


class Speaking(TaskDefinition):
    id = "speaking"
    title = "Say a word"

    def run(self, input: dict, controller: Controller) -> Answer:
        controller.logger.info(WORD)
        return controller.response.done("said", {"word": WORD})


class Waiting(TaskDefinition):
    id = "waiting"
    title = "Wait until a file exists"
    max_iterations = 50
    abort_grace_period_seconds = 1
    retry = {"limit": 0}

    def run(self, input: dict, controller: Controller) -> Answer:
        print("waiting", flush=True)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        while not os.path.exists(input["file"]):
            time.sleep(0.02)
        return controller.response.done("found", {"word": WORD})


class Stubborn(Waiting):
    id = "stubborn"
    title = "Hold the interpreter"

    def run(self, input: dict, controller: Controller) -> Answer:
        import re
        print("busy", flush=True)
        re.match(r"(a+)+$", "a" * 64 + "b")  # never returns, and no thread of Python runs meanwhile
        return controller.response.done()


class Greedy(TaskDefinition):
    id = "greedy"
    title = "Use much memory"
    resources = {"limits": {"memory": "96Mi"}}
    retry = {"limit": 0}

    def run(self, input: dict, controller: Controller) -> Answer:
        kept = bytearray(400_000_000)
        time.sleep(60)
        return controller.response.done(str(len(kept)))


class Counting(TaskDefinition):
    id = "counting"
    title = "Count the iterations"
    retry = {"limit": 0}
    disruption_retries = 100  # each kill of the server is one

    def run(self, input: dict, controller: Controller) -> Answer:
        seen = [*input.get("seen", []), controller.task.iteration]
        time.sleep(0.1)
        if len(seen) < 3:
            return controller.response.continue_({"seen": seen})
        return controller.response.done("counted", {"seen": seen})


class Reading(TaskDefinition):
    id = "reading"
    title = "Read a Secret"

    def run(self, input: dict, controller: Controller) -> Answer:
        return controller.response.done("read", {"secret": controller.secret["token"]})
"""


class Home:
    """A folder with tasks, and `podrelay dev` in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module = folder / "tasks.py"
        self.module.write_text(TASKS)
        self.server = DevServer(folder, ("tasks.py",))

    @property
    def kubectl(self) -> Kubectl:
        return self.server.kubectl()

    def start(self, name: str, definition: str, **spec: Any) -> None:
        created = self.kubectl.create(task_run(name, definition, **spec))
        assert created, str(created)

    def status(self, name: str) -> Manifest:
        found: Manifest = self.kubectl.get(TASK_RUNS, name).get("status", {})
        return found

    def until(self, name: str, **wanted: Any) -> Manifest:
        def has_them() -> Manifest | None:
            status = self.status(name)
            return status if all(status.get(key) == value for key, value in wanted.items()) else None

        return eventually(f"{name} has {wanted}", has_them) or {}

    def finished(self, name: str) -> Manifest:
        def ended() -> Manifest | None:
            status = self.status(name)
            return status if status.get("phase") in FINISHED else None

        return eventually(f"{name} is finished", ended) or {}

    def processes(self) -> list[str]:
        """Return the command lines of all processes of its containers."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            except OSError:
                continue
            if f"HOME_OF_TEST={self.folder}".encode() in variables and any(
                variable.startswith(f"{ENV_FOLDER}=".encode()) for variable in variables
            ):
                found.append(command)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    home.server.environment["HOME_OF_TEST"] = str(tmp_path)
    with home.server:
        yield home


def test_a_run_is_started_by_graphql_and_seen_in_all_ways(home: Home) -> None:
    caller = GraphQL(home.server.address)
    document = 'mutation { backgroundTasks { triggerTask(definition: "speaking") { data { id } error { message } } } }'
    name = caller.ask(document).data["triggerTask"]["data"]["id"]

    assert home.finished(name)["output"] == {"word": "first"}
    task = eventually(
        "the gateway shows it",
        lambda: caller.inside(f'getTask(id: "{name}") {{ data {{ taskStatus output }} }}')["getTask"]["data"],
    )
    assert task == {"taskStatus": "success", "output": {"word": "first"}}
    assert [event["phase"] for event in home.server.events("run", name=name)][-1] == "Succeeded"
    assert any("first" in event["line"] for event in home.server.events("output"))
    assert home.kubectl.do("get", "events").count("Succeeded") == 1


def test_the_address_of_the_dashboard_shows_it_or_says_how_to_build_it(home: Home) -> None:
    words = "python -m dev.pages dashboard"
    problems = [event["message"] for event in home.server.events("problem")]
    connection = http.client.HTTPConnection(home.server.address)
    connection.request("GET", "/")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    if answer.status == 200:
        assert '<div id="page"' in text
        assert not problems
    else:
        assert words in text
        assert words in problems[-1]


def test_the_log_of_a_pod_can_be_followed(home: Home) -> None:
    home.start("slow", "waiting", input={"file": str(home.folder / "go")})
    home.until("slow", reason="IterationRunning")
    follower = home.kubectl.start("logs", "-f", "slow-i1")
    assert follower.stdout is not None
    assert follower.stdout.readline() == "waiting\n"
    assert home.kubectl.do("logs", "slow-i1", "--tail=1") == "waiting\n"

    (home.folder / "go").touch()

    assert follower.wait(timeout=30) == 0


def test_a_changed_file_is_taken_up_by_the_next_iteration(home: Home) -> None:
    home.start("before", "waiting", input={"file": str(home.folder / "go")})
    eventually("it works", lambda: home.server.events("output", line="waiting"))
    loaded = len(home.server.events("module"))

    home.module.write_text(TASKS.replace('"first"', '"second"').replace('id = "greedy"', 'id = "renamed"'))
    eventually("it is loaded", lambda: len(home.server.events("module")) > loaded)
    home.start("after", "speaking")

    assert home.finished("after")["output"] == {"word": "second"}
    assert home.kubectl.get(TASK_DEFINITIONS, "renamed")
    (home.folder / "go").touch()
    assert home.finished("before")["output"] == {"word": "first"}  # it runs since before the change


def test_an_error_in_a_file_is_shown_at_once_and_fails_no_run(home: Home) -> None:
    home.module.write_text(TASKS + "\ndef broken(:\n")
    event = eventually("it is reported", lambda: [e for e in home.server.events("module") if e["problems"]])[0]
    home.start("patient", "speaking")
    waiting = eventually("it is shown", lambda: home.status("patient") if home.server.events("run") else None)

    assert "invalid syntax (tasks.py, line" in event["problems"][0]
    assert waiting is not None
    assert waiting["phase"] != "Failed"
    shown = eventually("why", lambda: re.search("invalid syntax", home.kubectl.do("get", "pods", "-o", "yaml")))
    assert shown

    home.module.write_text(TASKS.replace('"first"', '"repaired"'))

    assert home.finished("patient")["output"] == {"word": "repaired"}


def test_a_definition_that_becomes_invalid_stays_as_it_was(home: Home) -> None:
    home.module.write_text(TASKS.replace('title = "Say a word"', 'title = "Say a word"\n    max_iterations = 0'))
    event = eventually("it is reported", lambda: [e for e in home.server.events("module") if e["problems"]])[0]

    assert "spec.maxIterations" in event["problems"][0]
    home.start("same", "speaking")
    assert home.finished("same")["output"] == {"word": "first"}


def test_a_container_has_its_memory_limit(home: Home) -> None:
    home.start("big", "greedy")

    status = home.finished("big")
    assert (status["phase"], status["error"]["code"]) == ("Failed", "OOMKilled")


def test_a_run_waits_for_its_secret_and_reads_it(home: Home) -> None:
    home.start("secretive", "reading", secret="keys")
    home.until("secretive", reason="SecretMissing")
    home.kubectl.do("create", "secret", "generic", "keys", "--from-literal=token=abc")

    assert home.finished("secretive")["output"] == {"secret": "abc"}


def test_the_end_of_the_process_leaves_nothing_behind(home: Home) -> None:
    home.start("one", "waiting", input={"file": "never"})
    home.until("one", reason="IterationRunning")
    eventually("it works", lambda: any("sleep" in command for command in home.processes()))

    home.server.stop()

    assert home.processes() == []
    assert not home.server.kubeconfig.exists()


def test_after_a_kill_the_next_start_ends_what_was_left(home: Home) -> None:
    home.start("one", "waiting", input={"file": "never"})
    home.start("two", "stubborn")
    eventually("both work", lambda: {"waiting", "busy"} <= {e["line"] for e in home.server.events("output")})

    home.server.kill()
    assert any("sleep" in command for command in home.processes())
    home.server.start()

    assert home.processes() == []


def test_ctrl_c_ends_it_while_it_starts(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "endless.py").write_text(f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(600)\n")
    command: list[str | Path] = [PODRELAY, "dev", "endless.py", "--port=0", "--kubeconfig=kubeconfig"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        eventually("the module is being imported", begun.exists)
        server.send_signal(signal.SIGINT)
        printed, _ = server.communicate(timeout=60)

    assert server.returncode == 0
    assert "stopping" in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "kubeconfig").exists()


@pytest.fixture
def kept(tmp_path: Path) -> Home:
    """A home with state; its server is not started yet."""
    home = Home(tmp_path)
    home.server.flags = (f"--state={tmp_path / 'state'}",)
    home.server.environment["HOME_OF_TEST"] = str(tmp_path)
    return home


def test_a_restart_goes_on_where_it_was(kept: Home) -> None:
    with kept.server:
        kept.start("done", "speaking")
        done = kept.finished("done")
        kept.start("working", "waiting", input={"file": str(kept.folder / "go")})
        kept.start("later", "speaking", delaySeconds=3600)
        kept.until("working", reason="IterationRunning")
        address = kept.server.events("ready")[0]["api"]
    (kept.folder / "go").touch()
    with kept.server:
        assert kept.status("done") == done
        assert kept.finished("working")["output"] == {"word": "first"}
        assert kept.status("later")["reason"] == "Delayed"
        assert kept.server.events("ready")[0]["api"].rpartition("/")[2] == address.rpartition("/")[2]


def test_a_killed_process_loses_nothing(kept: Home) -> None:
    with kept.server:
        kept.start("working", "waiting", input={"file": str(kept.folder / "go")})
        kept.until("working", reason="IterationRunning")
        kept.server.kill()
        (kept.folder / "go").touch()
        kept.server.start()

        status = kept.finished("working")

    assert (status["phase"], status["output"]) == ("Succeeded", {"word": "first"})


@pytest.mark.timeout(200 + 60 * KILLS)
def test_kills_at_any_moment_lose_nothing_and_repeat_no_answer(kept: Home) -> None:
    """PODRELAY_TEST_KILLS sets the number of kills."""
    random = Random(KILLS)
    created: list[str] = []
    with kept.server:
        for kill in range(KILLS):
            with TaskService(kubeconfig=kept.server.kubeconfig, retry_seconds=0) as service:
                names = [f"run-{kill}-{number}" for number in range(4)]
                created += [service.trigger("counting", resource_name=name).id for name in names]
            eventually("something happens", lambda: kept.server.events("run", phase="Running"))
            time.sleep(random.uniform(0.0, 2.0))  # the moment is random, and nothing is waited for
            kept.server.kill()
            kept.server.start()
        for name in created:
            status = kept.finished(name)
            assert (status["phase"], status.get("output")) == ("Succeeded", {"seen": [1, 2, 3]}), status
        records = json.loads(kept.kubectl.do("get", "titer", "-o", "json"))["items"]
    answers = Counter(
        (record["runName"], record["iteration"])
        for record in records
        if record.get("response", {}).get("status") in {"continue", "done"}
    )
    assert answers == {(name, iteration): 1 for name in created for iteration in (1, 2, 3)}


def test_only_one_process_may_use_a_state(kept: Home) -> None:
    with kept.server:
        flags = (*kept.server.flags, "--port=0", f"--kubeconfig={kept.folder / 'other'}")
        other = forked.command(["dev", *flags], dict(os.environ))

    assert other.returncode == 1
    assert f"is in use by the process {kept.server.process.pid}: end it, or use another one" in other.stderr


def test_two_of_them_do_not_share_a_kubeconfig(home: Home) -> None:
    other = subprocess.run(
        [PODRELAY, "dev", "--port=0", f"--kubeconfig={home.server.kubeconfig}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert other.returncode == 1
    assert "kubeconfig is in use by another `podrelay dev`: end it, or choose another file" in other.stderr
    assert "speaking" in home.kubectl.do("get", "tdef")


def test_the_kernel_ends_tasks_before_other_programs_if_there_is_no_memory(home: Home) -> None:
    read = "open('/proc/self/oom_score_adj').read()"
    home.module.write_text(TASKS.replace('WORD = "first"', f"WORD = {read}"))
    eventually("it is loaded", lambda: len(home.server.events("module")) > 1)
    home.start("one", "speaking")

    assert home.finished("one")["output"] == {"word": "1000\n"}


def test_all_things_are_pods(home: Home) -> None:
    home.start("one", "waiting", input={"file": "never"})
    home.until("one", reason="IterationRunning")

    assert "one-i1" in home.kubectl.do("get", "all", "-o", "name")


def test_a_port_that_is_in_use_is_reported(home: Home) -> None:
    port = home.server.address.rpartition(":")[2]
    for flags, flag in (
        ((f"--port={port}", "--api-port=0"), "--port"),
        (("--port=0", f"--api-port={port}"), "--api-port"),
    ):
        other = forked.command(["dev", *flags, f"--kubeconfig={home.folder / 'other'}"], dict(os.environ))
        assert other.returncode == 1
        assert (
            f"port {port} cannot be used (address already in use); choose another one with {flag}"
            in other.stderr.lower()
        )


def test_the_api_server_needs_the_secret_of_the_kubeconfig(home: Home) -> None:
    url = home.server.events("ready")[0]["api"].rpartition("/")[0]

    for path in ("/api", "/wrong/api", "/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(url + path)
        assert refused.value.code == 401
        assert "kubeconfig" in json.loads(refused.value.read())["message"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("get", "nodes"), "there are no nodes"),
        (("create", "role", "x", "--verb=get", "--resource=pods"), "there is no RBAC"),
        (("get", "validatingadmissionpolicies"), "there are no admission policies"),
        (("create", "quota", "x"), "there are no quotas"),
        (("run", "x", "--image=busybox"), "only pods of TaskRuns run here"),
        (("create", "deployment", "x", "--image=busybox"), "only tasks run here"),
        (("exec", "x", "--", "sh"), "pods are processes"),
    ],
)
def test_a_request_for_what_only_a_cluster_has_gets_an_error_that_says_so(
    home: Home, arguments: tuple[str, ...], why: str
) -> None:
    result = home.kubectl(*arguments)

    assert not result
    assert "podrelay dev" in str(result) or arguments[0] == "exec"
    assert why in str(result) or arguments[0] == "exec"


def test_a_task_that_needs_an_image_is_refused(home: Home) -> None:
    script = {"spec": {"containers": [{"name": "task", "image": "x", "command": ["sh"]}]}}
    reporting = home.kubectl.apply(task_definition("script", template=script, reporting="TerminationMessage"))
    assert home.kubectl.apply(task_definition("program", template=script))
    sidecar = {"spec": {"containers": [{"name": "task", "image": "x"}, {"name": "proxy", "image": "y"}]}}
    assert home.kubectl.apply(task_definition("pair", template=sidecar))

    assert "there are no images" in str(reporting)
    for name, why in (
        ("program", "the command must be podrelay-runner"),
        ("pair", "without init containers and sidecars"),
    ):
        home.kubectl.do("wait", "--for=condition=Ready=false", f"{TASK_DEFINITIONS}/{name}", "--timeout=30s")
        conditions = home.kubectl.get(TASK_DEFINITIONS, name)["status"]["conditions"]
        ready = next(condition for condition in conditions if condition["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "PodRejected")
        assert why in ready["message"]
