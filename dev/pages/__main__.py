"""`python -m dev.pages [NAME ...]`: build the pages of the gateway, unless they are up to date."""

import argparse
import sys

from dev.cluster import ClusterError
from dev.pages.build import PAGES, ensure


def main() -> int:
    """Return 0, or 1 after an error message."""
    parser = argparse.ArgumentParser(description="Build the pages that the gateway serves.")
    parser.add_argument("names", nargs="*", choices=[*PAGES, []], metavar="NAME", help=f"of {', '.join(PAGES)}")
    try:
        for name in parser.parse_args().names or PAGES:
            print(ensure(PAGES[name]))
    except ClusterError as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
