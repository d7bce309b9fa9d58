"""`python -m images build [IMAGE...]`: builds what has changed and loads it into the nodes of the kind cluster."""

import argparse
import sys

from cluster import ClusterError, load
from images.build import EXAMPLES, OPERATOR, TASK, build


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m images", description=__doc__)
    parser.add_argument("action", choices=["build"])
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"of {OPERATOR}, {TASK}, {EXAMPLES}; default: all")
    arguments = parser.parse_args()
    wanted = tuple(arguments.images) or (OPERATOR, TASK, EXAMPLES)
    if unknown := set(wanted) - {OPERATOR, TASK, EXAMPLES}:
        parser.error(f"unknown image: {', '.join(unknown)}")
    try:
        build(wanted)
        load([image for image in wanted if image != TASK])
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
