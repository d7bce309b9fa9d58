"""`kubectl_complete-podrelay`: kubectl calls it to complete the words after `kubectl podrelay`.

See https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/; the output has the format of cobra's completions.
"""

import os
import shlex
import sys

from podrelay.cli import commands, main

_NO_FILES = ":4"
"""cobra's ShellCompDirectiveNoFileComp: the shell must not complete file names."""


def complete() -> None:
    """Print the completions of this process's last argument, and exit."""
    words = sys.argv[1:]
    os.environ[commands.COMPLETE_VARIABLE] = "complete_bash"
    os.environ["COMP_WORDS"] = shlex.join(["podrelay", *words])
    os.environ["COMP_CWORD"] = str(len(words))
    main.run([])
    print(_NO_FILES)
    sys.exit(0)
