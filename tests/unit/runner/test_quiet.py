"""Whether anything of the task still runs: asked in a PID namespace of its own, as in a container."""

import os
import subprocess
import sys

import pytest

from podrelay.runner import quiet

PROGRAM = """
import os, signal, subprocess, sys, threading, time
from podrelay.runner import quiet
{body}
print(quiet.nothing_else_runs())
sys.stdout.flush()
os._exit(0)
"""


def answer(body: str = "") -> str:
    """Return what the first process of a new PID namespace finds out after it has run `body`."""
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c"]
    done = subprocess.run([*command, PROGRAM.format(body=body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="a PID namespace needs root")


@needs_root
@pytest.mark.parametrize(
    "body",
    [
        "",
        "threading.Thread(target=time.sleep, args=(60,), name='podrelay-flusher', daemon=True).start()",
        "t = threading.Thread(target=print); t.start(); t.join()",
        "subprocess.run(['true'])",
        "child = subprocess.Popen(['true']); os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)",
    ],
)
def test_a_container_with_nothing_but_the_runner_is_quiet(body: str) -> None:
    assert answer(body) == "True"


@needs_root
@pytest.mark.parametrize(
    "body",
    [
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "subprocess.Popen(['sleep', '60'])",
        "subprocess.run(['sh', '-c', 'sleep 60 >/dev/null 2>&1 &'])",  # its parent has ended
        "signal.signal(signal.SIGALRM, print); signal.setitimer(signal.ITIMER_REAL, 60)",
        # A thread of which Python knows nothing, as libraries in C start them.
        "import ctypes; libc = ctypes.CDLL(None); libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, "
        "ctypes.cast(libc.pause, ctypes.c_void_p), None)",
    ],
)
def test_threads_processes_and_timers_of_the_task_are_found(body: str) -> None:
    assert answer(body) == "False"


def test_a_process_that_is_not_the_first_of_its_namespace_cannot_know() -> None:
    assert not quiet.nothing_else_runs()
