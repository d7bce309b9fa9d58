"""Log lines of the operator: those of everything here, and of kopf what matters."""

import logging

from podrelay import logs


def configure(*, as_json: bool, verbose: bool) -> None:
    """Send all log lines to stderr."""
    logs.configure(as_json=as_json, verbose=verbose)
    # kopf tells of each event and start; its warnings and errors are what matters here.
    logging.getLogger("kopf").setLevel(logging.DEBUG if verbose else logging.WARNING)
    # Signals are handled in the main thread, where the rest of the operator is; kopf warns that it does not.
    logging.getLogger("kopf._core.reactor.running").addFilter(lambda record: "signals" not in record.getMessage())
