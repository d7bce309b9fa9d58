"""`python -m dev.tools.graphiql`: build the files for `podrelay gateway --graphiql`, unless they are up to date."""

import sys

from dev.cluster import ClusterError
from dev.tools.graphiql import build


def main() -> int:
    """Return 0, or 1 after an error message."""
    try:
        build.ensure()
    except ClusterError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(build.PLACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
