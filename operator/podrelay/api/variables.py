"""The environment variables of a program that reports by termination message, by their names in api.names."""

from typing import Literal

Variable = Literal[
    "PODRELAY_INPUT",
    "PODRELAY_ITERATION",
    "PODRELAY_TRY",
    "PODRELAY_FINAL_ATTEMPT",
    "PODRELAY_MAX_ITERATIONS",
    "PODRELAY_ITERATION_TIMEOUT_SECONDS",
    "PODRELAY_GRACE_PERIOD_SECONDS",
    "PODRELAY_SECRET_PATH",
    "PODRELAY_RUN",
    "PODRELAY_RUN_UID",
    "PODRELAY_ORIGIN_UID",
    "PODRELAY_NAMESPACE",
    "PODRELAY_DEFINITION",
    "PODRELAY_POD_NAME",
    "PODRELAY_POD_UID",
    "PODRELAY_NODE_NAME",
    "PODRELAY_IMAGE",
    "PODRELAY_SIGNALS",
    "PODRELAY_WOKEN_BY",
    "PODRELAY_SCHEDULE",
    "PODRELAY_SCHEDULED_FOR",
    "PODRELAY_SCHEDULED_PREVIOUS",
    "PODRELAY_SCHEDULED_NEXT",
    "PODRELAY_PROTOCOL",
]
"""One of them. Not all exist in each pod: without a schedule, for example, none of the variables about it."""
