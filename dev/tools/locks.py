"""Writes the locks of the images: `python -m dev.tools.locks`. With `--check`, checks offline that they match.

uv resolves them to the versions that an installation of podrelay from the index would get today. The mirror of the
index is a setting of the machine and is not part of the locks.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from dev.images import locked


def _resolve(wanted: list[str]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        ranges = Path(folder, "ranges.in")
        ranges.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        command = [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "compile",
            str(ranges),
            "--quiet",
            "--generate-hashes",
            f"--python-version={locked.PYTHON}",
            "--python-platform=linux",
            "--only-binary=:all:",
            "--no-header",
            "--no-annotate",
            "--native-tls",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"uv cannot resolve them: {done.stderr}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Write the locks, or with --check print their problems; return the exit code."""
    project, code = locked.project(), 0
    for image in locked.LOCKS:
        wanted, file = locked.wanted(project, image), locked.file(image)
        if arguments != ["--check"]:
            file.parent.mkdir(exist_ok=True)
            file.write_text(locked.head(wanted) + _resolve(wanted), encoding="utf-8")
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        for problem in locked.problems(text, wanted):
            print(f"{file.relative_to(locked.ROOT)}: {problem}", file=sys.stderr)
            code = 1
    if code:
        print("run 'make lock'", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
