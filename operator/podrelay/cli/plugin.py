"""`kubectl_complete-podrelay`: what kubectl calls to complete the words after `kubectl podrelay`.

https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/ and the completions of cobra, whose form it wants.
"""

import os
import shlex
import sys

from podrelay.cli import commands, main

_NO_FILES = ":4"
"""cobra's ShellCompDirectiveNoFileComp: names of files are no completions."""


def complete() -> None:
    """Print the completions of this process's last argument, and end it."""
    words = sys.argv[1:]
    os.environ[commands.COMPLETE_VARIABLE] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(["podrelay", *words])
    os.environ["COMP_CWORD"] = str(len(words))
    main.run([])
    print(_NO_FILES)
    sys.exit(0)
