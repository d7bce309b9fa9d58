"""The example in shell: the script of the manifest, pod after pod, without a cluster."""

import hashlib
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.harness.waiting import eventually

MANIFEST = Path(__file__).parents[4] / "examples" / "shell" / "definition.yaml"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for number in range(7):
        (folder / f"program-{number}").write_text(f"{number}\n" * number, encoding="utf-8")
    return folder


def start(files: Path, input: dict[str, Any], path: str = "/usr/bin:/bin") -> tuple[subprocess.Popen[bytes], Path]:
    definition = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    answer = files.parent / "termination-log"
    answer.unlink(missing_ok=True)
    command = [
        part.replace("/dev/termination-log", str(answer)).replace("/usr/bin", str(files))
        for part in definition["spec"]["template"]["spec"]["containers"][0]["command"]
    ]
    variables = {"PATH": path, "PODRELAY_INPUT": json.dumps(input, separators=(",", ":"))}
    return subprocess.Popen(command, env=variables), answer


def run(files: Path, input: dict[str, Any]) -> dict[str, Any]:
    process, answer = start(files, input)
    assert process.wait(30) == 0
    said: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return said


def digest_of(files: Path) -> str:
    digest = ""
    for file in sorted(files.iterdir()):
        digest = hashlib.sha256(f"{digest}\n".encode() + file.read_bytes()).hexdigest()
    return digest


@pytest.mark.parametrize("size", [3, 7, 100])
def test_the_slices_give_the_same_result(files: Path, size: int) -> None:
    said, pods = through_all_pods(files, {"slice": size})

    assert said == {"status": "done", "output": {"files": 7, "digest": digest_of(files)}}
    assert pods == 2 + 6 // size


def through_all_pods(files: Path, state: dict[str, Any]) -> tuple[dict[str, Any], int]:
    pods = 1
    while (said := run(files, state))["status"] == "continue":
        state |= said["input"]
        pods += 1
    return said, pods


def test_a_stop_hands_over_the_progress_so_far(files: Path, tmp_path: Path) -> None:
    # given a script that is in the middle of a file
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "cut").write_text(
        f'#!/bin/sh\ntouch {tmp_path}/began\nuntil [ -e {tmp_path}/go ]; do :; done\nexec /usr/bin/cut "$@"\n',
        encoding="utf-8",
    )
    (slow / "cut").chmod(0o755)
    process, answer = start(files, {}, path=f"{slow}:/usr/bin:/bin")
    eventually("it works on a file", (tmp_path / "began").exists)

    # when
    process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()

    # then it answers, and nothing is counted twice or missing
    assert process.wait(30) == 0
    said = json.loads(answer.read_text(encoding="utf-8"))
    assert said["status"] == "continue"
    assert said["input"]["next"] in {0, 1}
    whole, _ = through_all_pods(files, said["input"])
    assert whole["output"] == {"files": 7, "digest": digest_of(files)}
