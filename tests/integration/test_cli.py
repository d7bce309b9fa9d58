"""The commands that talk to a cluster, as processes, against the real API server, operator and runner."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dev.harness import forked
from dev.harness.operator import PODRELAY
from dev.harness.waiting import eventually
from podrelay import TaskService
from tests.support import author_tasks
from tests.support.relay import Relay

pytestmark = [pytest.mark.integration, pytest.mark.also_on_dev]

PLUGIN = PODRELAY.with_name("kubectl-podrelay")


@dataclass(frozen=True)
class Shell:
    """A user at a terminal, with $KUBECONFIG set, in the namespace of a relay."""

    relay: Relay
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        settings = yaml.safe_load(self.relay.kubectl.kubeconfig.read_text())
        settings["contexts"][0]["context"]["namespace"] = self.relay.kubectl.namespace
        path = self.folder / "kubeconfig"
        path.write_text(yaml.safe_dump(settings))
        return self.relay.kubectl.env | {"KUBECONFIG": str(path), "COLUMNS": "80", "TZ": "UTC"}

    def __call__(self, *arguments: str, stdin: str = "", program: Path = PODRELAY) -> subprocess.CompletedProcess[str]:
        if program == PODRELAY:
            ended = forked.command([*arguments], self.env, stdin)
        else:
            ended = subprocess.run(
                [program, *arguments],
                input=stdin,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def do(self, *arguments: str, stdin: str = "") -> str:
        ended = self(*arguments, stdin=stdin)
        assert ended.returncode == 0, ended
        return ended.stdout.strip()

    def trigger(self, *arguments: str) -> str:
        return self.do("trigger", *arguments, "-o", "name").removeprefix("taskrun.podrelay.dev/")

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [PODRELAY, *arguments], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture(scope="module")
def shell(relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    for task in ("Answer", "Chain", "Sleep", "Progress"):
        relay.define(task, triggers=[task.lower()])
    relay.define("Talker", module=Path(author_tasks.__file__))
    return Shell(relay, tmp_path_factory.mktemp("shell"))


@pytest.fixture
def sleeping(shell: Shell) -> Iterator[str]:
    """The id of a run that works until it is aborted."""
    run = shell.trigger("sleep")
    shell.relay.until(run, "it works", phase="Running")
    yield run
    shell("abort", run)


def test_trigger_with_watch_shows_the_progress_and_prints_the_output(shell: Shell) -> None:
    ended = shell(
        "trigger", "answer", "--input", '{"how": "done", "output": {"rows": 3}}', "--watch", "--name", "Three"
    )

    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {"rows": 3}
    assert len(re.findall(r"^answer-[a-z2-7]{12}:? Succeeded: ", ended.stderr, re.MULTILINE)) == 1, ended.stderr


@pytest.mark.parametrize(
    ("how", "code", "word"), [("done", 0, "Succeeded"), ("error", 1, "Failed"), ("aborted", 3, "Aborted")]
)
def test_exit_codes_show_how_it_ended(shell: Shell, how: str, code: int, word: str) -> None:
    ended = shell("trigger", "answer", "--input", json.dumps({"how": how}), "--wait", "-o", "json")

    assert ended.returncode == code
    assert json.loads(ended.stdout)["status"]["phase"] == word
    assert ended.stderr == ""


def test_input_comes_from_a_file_or_stdin(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"how": "done", "output": {"from": "file"}}')

    assert json.loads(shell.do("trigger", "answer", "--input", f"@{file}", "--wait")) == {"from": "file"}
    stdin = '{"how": "done", "output": {"from": "stdin"}}'
    assert json.loads(shell.do("trigger", "answer", "--input", "-", "--wait", stdin=stdin)) == {"from": "stdin"}


def test_the_run_is_what_kubectl_shows(shell: Shell) -> None:
    run = shell.trigger("chain", "--delay", "1h", "--name", "Later")
    spec = shell.relay.get(run)["spec"]

    assert (spec["definition"], spec["delaySeconds"], spec["displayName"]) == ("chain", 3600, "Later")
    assert json.loads(shell.do("get", run, "-o", "json"))["spec"] == spec
    assert yaml.safe_load(shell.do("get", f"taskrun.podrelay.dev/{run}", "-o", "yaml"))["spec"] == spec
    shell.do("delete", run)
    assert shell("get", run).returncode == 1


def test_the_same_key_gives_the_same_run(shell: Shell) -> None:
    first = shell.trigger("chain", "--delay", "1h", "--key", "order-1")

    assert shell.trigger("chain", "--delay", "1h", "--key", "order-1") == first
    conflict = shell("trigger", "chain", "--key", "order-1", "--input", '{"other": 1}')
    assert conflict.returncode == 1
    assert "already exists with a different input" in conflict.stderr


def test_list_filters_and_formats(shell: Shell, user: str) -> None:
    oldest = shell.trigger("chain", "--delay", "1h", "--name", "Listed one")
    newest = shell.trigger("chain", "--delay", "1h", "--name", "Listed two", "--parent", oldest)

    listing = ("list", "--search", "listed", "-d", "chain", "-s", "pending")
    head, *rows = shell.do(*listing).splitlines()
    assert head.split() == ["ID", "NAME", "DEFINITION", "PHASE", "REASON", "ITERATIONS", "PROGRESS", "AGE"]
    assert {row.split()[0] for row in rows} == {oldest, newest}
    assert shell.do(*listing, "--sort", "name", "-o", "name").splitlines() == [
        f"taskrun.podrelay.dev/{oldest}",
        f"taskrun.podrelay.dev/{newest}",
    ]
    assert len(shell.do(*listing, "--limit", "1", "-o", "name").splitlines()) == 1
    assert [item["kind"] for item in json.loads(shell.do(*listing, "-o", "json"))["items"]] == ["TaskRun"] * 2
    assert shell.do("list", "--parent", oldest, "-o", "name") == f"taskrun.podrelay.dev/{newest}"
    assert user in shell.do(*listing, "-o", "wide")
    assert shell.relay.kubectl.namespace in shell.do(*listing, "-A")
    assert shell.do("list", "--search", "listed", "--before", "1h") == ""
    tree = shell.do("children", oldest).splitlines()
    assert [line.split()[0] for line in tree] == [oldest, "└──"]
    assert newest in tree[1]


def test_an_input_that_violates_the_schema_is_reported_by_field_and_starts_nothing(shell: Shell) -> None:
    shell.relay.define("Answer", "strict", inputSchema={"type": "object", "required": ["url"]})

    ended = shell("trigger", "strict", "--input", '{"how": "done"}')

    assert ended.returncode == 1
    assert ended.stderr == "podrelay trigger: Validation failed. url: Field required\n"
    assert shell.do("list", "-d", "strict", "-o", "name") == ""


def test_get_shows_all_that_matters(shell: Shell, user: str) -> None:
    run = shell.trigger("chain", "--input", '{"length": 2}', "--name", "All of it")
    shell.relay.finished(run)

    shown = shell.do("get", run)

    for part in (
        "All of it",
        "Succeeded",
        user,
        '"length": 2',
        '"done": 2',
        f"{run}-i2",
        "continue",
    ):
        assert part in shown


def test_logs_follow_across_iterations_and_end_with_the_run(shell: Shell) -> None:
    run = shell.trigger("talker", "--input", '{"length": 2, "lines": 2}')

    lines = shell.do("logs", "--follow", run).splitlines()

    assert [line.split(" ", 2)[2] for line in lines] == [
        f'i{iteration} line {number} {{"n": {number}}}' for iteration in (1, 2) for number in (1, 2)
    ]
    one = shell.do("logs", run, "--iteration", "2", "-o", "json").splitlines()
    assert [(line["iteration"], line["message"]) for line in map(json.loads, one)] == [(2, "line 1"), (2, "line 2")]
    for flags in ((), ("--follow",)):
        assert shell.do("logs", run, "--tail", "1", *flags).splitlines() == lines[-1:]
    assert shell.do("logs", run, "--tail", "-1").splitlines() == lines


def test_abort_waits_for_the_end(shell: Shell, sleeping: str) -> None:
    out = shell.do("abort", sleeping, "-m", "wrong file", "--wait")

    assert out.splitlines() == [
        f"taskrun.podrelay.dev/{sleeping} is being aborted",
        f"taskrun.podrelay.dev/{sleeping} Aborted",
    ]
    assert shell.relay.status(sleeping)["message"] == "wrong file"
    assert shell.do("abort", sleeping, "--wait") == f"taskrun.podrelay.dev/{sleeping} was already aborted"
    cascade = shell("abort", sleeping, "--cascade")
    assert (cascade.returncode, "was aborted without its children" in cascade.stderr) == (1, True)


def test_abort_of_a_run_that_has_succeeded_is_an_error(shell: Shell) -> None:
    shell.do("trigger", "answer", "--input", '{"how": "done"}', "--resource-name", "too-late", "--wait")

    ended = shell("abort", "too-late")

    assert ended.returncode == 1
    assert ended.stderr == "podrelay abort: Cannot abort a task that is not pending or running!\n"


def test_the_exit_code_of_wait_shows_how_a_run_ended(shell: Shell) -> None:
    done = shell.trigger("answer", "--input", '{"how": "done", "output": {"rows": 3}}')
    ended = shell("wait", done)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, {"rows": 3})
    assert ended.stderr == f"{done} Succeeded: Task done.\n"

    assert shell("wait", shell.trigger("answer", "--input", '{"how": "error"}')).returncode == 1
    assert shell("wait", shell.trigger("answer", "--input", '{"how": "aborted"}')).returncode == 3
    assert shell("wait", "missing").returncode == 1
    later = shell("wait", shell.trigger("chain", "--delay", "1h"), "--timeout", "1s")
    assert (later.returncode, "; the timeout has expired, but the run continues." in later.stderr) == (124, True)


def test_wait_accepts_several_runs(shell: Shell, sleeping: str) -> None:
    done = shell.trigger("answer", "--input", '{"how": "done"}')
    waiting = shell.start("wait", sleeping, done)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == f"taskrun.podrelay.dev/{done} Succeeded\n"
    shell.do("abort", sleeping)
    assert waiting.stdout.readline() == f"taskrun.podrelay.dev/{sleeping} Aborted\n"
    assert waiting.wait(20) == 3


def test_ctrl_c_ends_a_wait_for_several_runs(shell: Shell, sleeping: str) -> None:
    done = shell.trigger("answer", "--input", '{"how": "done"}')
    waiting = shell.start("wait", sleeping, done)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == f"taskrun.podrelay.dev/{done} Succeeded\n"

    waiting.send_signal(signal.SIGINT)

    assert (waiting.wait(20), shell.relay.status(sleeping)["phase"]) == (130, "Running")


def test_get_with_watch_shows_the_progress_of_an_existing_run(shell: Shell, sleeping: str) -> None:
    watching = shell.start("get", sleeping, "--watch")
    assert watching.stderr is not None
    assert watching.stderr.readline() == f"{sleeping}: IterationRunning iteration 1/50\n"

    shell.do("abort", sleeping)
    out, _ = watching.communicate(timeout=20)

    assert (watching.returncode, "Aborted" in out) == (0, True)


def test_flags_can_precede_the_command(shell: Shell) -> None:
    assert shell.do("-n", "kube-system", "list") == ""
    assert "definitions" not in shell.do("--namespace", shell.relay.kubectl.namespace, "definitions", "-o", "name")
    path = f"{PLUGIN.parent}{os.pathsep}{shell.env['PATH']}"
    kubectl = ["kubectl", "podrelay", "-n", shell.relay.kubectl.namespace, "definitions", "-o", "name"]
    listed = subprocess.run(
        kubectl, env=shell.env | {"PATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    assert "taskdefinition.podrelay.dev/chain" in listed.stdout.splitlines()


def test_a_command_for_several_runs_continues_after_one_that_fails(shell: Shell) -> None:
    run = shell.trigger("chain", "--delay", "1h")

    ended = shell("suspend", "missing", run)

    assert ended.returncode == 1
    assert ended.stdout == f"taskrun.podrelay.dev/{run} suspended\n"
    assert ended.stderr == 'podrelay: missing: Task "missing" was not found!\n'
    assert shell.relay.get(run)["spec"]["suspend"] is True
    assert shell.do("resume", run) == f"taskrun.podrelay.dev/{run} resumed"


def test_rerun(shell: Shell) -> None:
    run = shell.trigger("answer", "--input", '{"how": "done", "output": {"n": 1}}')
    shell.relay.finished(run)

    assert json.loads(shell.do("rerun", run, "--wait")) == {"n": 1}
    other = '{"how": "done", "output": {"n": 2}}'
    assert json.loads(shell.do("rerun", run, "--input", other, "--wait")) == {"n": 2}


def test_definitions(shell: Shell) -> None:
    head, *rows = shell.do("definitions").splitlines()

    assert head.split()[:3] == ["ID", "NAME", "TITLE"]
    assert {"answer", "chain", "sleep"} <= {row.split()[0] for row in rows}
    assert "taskdefinition.podrelay.dev/chain" in shell.do("definitions", "-o", "name").splitlines()


def test_top_prints_once_without_a_terminal(shell: Shell, sleeping: str) -> None:
    rows = shell.do("top").splitlines()

    assert sleeping in [row.split()[0] for row in rows]


def test_top_prints_once_on_a_terminal_if_asked(shell: Shell, sleeping: str) -> None:
    with terminal(shell, "top", "--once") as screen:
        screen.until(sleeping)
        assert screen.ended() == 0


def test_top_is_live_on_a_terminal(shell: Shell, sleeping: str) -> None:
    with terminal(shell, "top") as screen:
        screen.until(sleeping)
        shell.do("abort", sleeping, "--wait")
        screen.until("active")
        screen.interrupt()
        assert screen.ended() == 0


def test_ctrl_c_while_watching_leaves_the_run_alone(shell: Shell, sleeping: str) -> None:
    watching = shell.start("rerun", sleeping, "--watch")
    assert watching.stderr is not None
    run = watching.stderr.readline().split(":")[0]
    shell.relay.until(run, "it works", phase="Running")

    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=20)

    assert watching.returncode == 130
    assert f"{run} continues. To abort it: podrelay abort {run} -n {shell.relay.kubectl.namespace}" in errors
    assert "Traceback" not in errors
    assert shell.relay.status(run)["phase"] == "Running"
    shell.do("abort", run)


def test_a_bar_moves_on_a_terminal(shell: Shell) -> None:
    with terminal(shell, "trigger", "progress", "--watch", "--resource-name", "barred") as screen:
        screen.until("75% 3/4 rows", 60)
        shell.do("abort", "barred")
        screen.until("barred Aborted")
        assert screen.ended() == 3


def test_timeout_while_waiting(shell: Shell) -> None:
    ended = shell("trigger", "chain", "--delay", "1h", "--wait", "--timeout", "1s")

    assert ended.returncode == 124
    assert "; the timeout has expired, but the run continues." in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["trigger", "noSuchTask"], 1, "podrelay trigger: Task definition was not found!"),
        (["get", "missing"], 1, 'podrelay get: Task "missing" was not found!'),
        (["list", "--status", "done"], 1, "there is no status 'done'"),
        (["list", "--context", "nowhere"], 1, "no cluster to connect to"),
        (["trigger", "chain", "--input", "{"], 2, "is not JSON"),
        (["trigger", "chain", "--input", "[]"], 2, "is not a JSON object"),
        (["trigger", "chain", "--input", "@/no/such/file"], 2, "cannot read /no/such/file"),
        (["trigger", "chain", "--delay", "soon"], 2, "is not a duration"),
        (["trigger", "chain", "--delay", "400d"], 1, "delay: must be shorter than 30672000 seconds (355 days)"),
        (["trigger"], 2, "Missing argument"),
        (["abort"], 2, "Missing argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_one_line(shell: Shell, arguments: list[str], code: int, words: str) -> None:
    ended = shell(*arguments)

    assert ended.returncode == code
    assert words in ended.stderr
    assert ended.stdout == ""


def test_an_unavailable_api_server(shell: Shell, tmp_path: Path) -> None:
    settings = yaml.safe_load(shell.relay.kubectl.kubeconfig.read_text())
    settings["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    kubeconfig = tmp_path / "away"
    kubeconfig.write_text(yaml.safe_dump(settings))

    ended = shell("list", "--kubeconfig", str(kubeconfig))

    assert ended.returncode == 1
    assert re.fullmatch(r"podrelay list: the API server cannot be reached: .*Connection refused.*\n", ended.stderr)


def test_as_a_plugin_of_kubectl(shell: Shell) -> None:
    run = shell.trigger("chain", "--delay", "1h")
    path = f"{PLUGIN.parent}{os.pathsep}{shell.env['PATH']}"

    got = subprocess.run(
        ["kubectl", "podrelay", "get", run, "-o", "name"],
        env=shell.env | {"PATH": path},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert got.stdout == f"taskrun.podrelay.dev/{run}\n"
    assert "kubectl podrelay get: " in shell("get", "missing", program=PLUGIN).stderr


def test_names_are_completed_from_the_cluster(shell: Shell) -> None:
    run = shell.trigger("chain", "--delay", "1h", "--resource-name", "completed-one")

    def complete(*words: str) -> list[str]:
        asked = shell.env | {
            "_PODRELAY_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("podrelay", *words)),
            "COMP_CWORD": str(len(words)),
        }
        ended = subprocess.run([PODRELAY], env=asked, capture_output=True, text=True, check=True, timeout=60)
        return ended.stdout.split()

    assert complete("get", "comple") == [run]
    assert complete("trigger", "ch") == ["chain"]
    assert complete("chi") == ["children"]
    assert complete("man") == ["manifests"]
    assert complete("get", "--kubeconfig", "/none", "x") == []


def test_kubectl_completes_the_words_of_its_plugin(shell: Shell) -> None:
    run = shell.trigger("chain", "--delay", "1h", "--resource-name", "by-kubectl")
    environment = shell.env | {"PATH": f"{PLUGIN.parent}{os.pathsep}{shell.env['PATH']}"}

    ended = subprocess.run(
        ["kubectl", "__complete", "podrelay", "get", "by-"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.splitlines() == [run, ":4"]


class Screen:
    """A program in its own terminal."""

    def __init__(self, shell: Shell, *arguments: str) -> None:
        self._shell, self._arguments = shell, arguments
        self._text = ""

    def __enter__(self) -> "Screen":
        self._leader, follower = pty.openpty()
        environment = self._shell.env | {"TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(
            [PODRELAY, *self._arguments],
            env=environment,
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._leader)

    def until(self, words: str, seconds: float = 30) -> None:
        """Read until these words appear, and forget everything up to them."""
        deadline = time.monotonic() + seconds
        while words not in self._text:
            assert time.monotonic() < deadline, f"{words!r} is not in {self._text!r}"
            if select.select([self._leader], [], [], 0.1)[0]:
                chunk = os.read(self._leader, 65536).decode(errors="replace")
                self._text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", chunk)
        self._text = self._text.partition(words)[2]

    def ended(self, seconds: float = 20) -> int:
        """Wait for its end, and return its exit code; read its output, because it could not end otherwise."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._leader], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):  # the last process has closed the other side
                    os.read(self._leader, 65536)
        return self.process.wait(1)

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


def terminal(shell: Shell, *arguments: str) -> Screen:
    return Screen(shell, *arguments)


def test_a_program_and_the_command_line_see_the_same(shell: Shell) -> None:
    with TaskService(shell.relay.kubectl.namespace, kubeconfig=shell.relay.kubectl.kubeconfig) as service:
        run = service.trigger("chain", {"a": None}, delay=3600)
        eventually("it is delayed", lambda: service.get(run.id).reason == "Delayed")
        assert json.loads(shell.do("get", run.id, "-o", "json"))["spec"] == service.get(run.id).resource["spec"]
