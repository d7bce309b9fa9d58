"""Logging of the operator: all of its own log lines, and the warnings of kopf."""

import logging

from podrelay import logs


def configure(*, as_json: bool, verbose: bool) -> None:
    """Send all log lines to stderr."""
    logs.configure(as_json=as_json, verbose=verbose)
    # kopf logs each event and start; only its warnings and errors are of interest.
    logging.getLogger("kopf").setLevel(logging.DEBUG if verbose else logging.WARNING)
    # Signals are handled in the main thread, by the rest of the operator; kopf warns that it does not handle them.
    logging.getLogger("kopf._core.reactor.running").addFilter(lambda record: "signals" not in record.getMessage())
