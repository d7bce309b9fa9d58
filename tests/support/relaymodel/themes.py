"""Dangerous situations, each of which needs several things at once that random histories seldom combine."""

from typing import Any, Final, NamedTuple

HOOKS: Final = ["onDone", "onError", "onAbort", "onMaxIterations"]
FAVOUR: Final = 4
"""How much more often a favoured move is chosen."""


class Theme(NamedTuple):
    """What a history is about.

    Attributes:
        troubles: what happens in it, see `moves.TROUBLES`.
        favours: the names of moves that are chosen more often.
        definition: fields of the definition.
        skew: seconds by which the clocks of the nodes are wrong; None: any.
    """

    troubles: frozenset[str] = frozenset()
    favours: frozenset[str] = frozenset()
    definition: dict[str, Any] = {}  # noqa: RUF012 - never changed
    skew: int | None = None


def _theme(troubles: str, favours: str, skew: int | None = None, **definition: Any) -> Theme:
    separate = frozenset(troubles.split(", ")) - {""}
    return Theme(separate, frozenset(favours.split()), definition, skew)


_API: Final[dict[str, Any]] = {"reporting": "API"}
_MESSAGE: Final[dict[str, Any]] = {"reporting": "TerminationMessage"}
_RETRIES: Final = {"limit": 2, "on": ["Error", "PodFailure", "Timeout"]}

THEMES: Final = (
    Theme(),
    # a pod that was deleted by force is kept by a foreign finalizer, and its container continues to run
    _theme("force, foreign finalizers, slow nodes", "_force_delete", **_API, disruptionRetries=3),
    # the garbage collector removes the pods of a lost node, which comes back
    _theme("nodes", "_lose_node _collect_pods _find_nodes", **_API, disruptionRetries=3),
    # the same, and the finalizer of another party keeps the pods
    _theme("nodes, foreign finalizers", "_hold_pod _lose_node _collect_pods", **_API, disruptionRetries=3),
    # heartbeats, by nodes whose clocks are late
    _theme("", "_beat _advance", -70, **_API, heartbeatTimeoutSeconds=60),
    # heartbeats that the operator sees late
    _theme("lag", "_beat _advance _lag _step", **_API, heartbeatTimeoutSeconds=60),
    # a pod whose creation got no response, and a run that ends
    _theme("slow requests, aborts, lag", "_slow_step _lose _abort"),
    # each attempt continues from the newest checkpoint
    _theme("crashes", "_checkpoint _crash", **_API, retry=_RETRIES, disruptionRetries=3),
    # two pods of the same name, one after the other
    _theme("force, second operator, slow requests", "_force_delete _second", **_API, disruptionRetries=3),
    # pods that start unclaimed: creations that got no response, and another leader soon after
    _theme("slow requests, restarts, evictions, lag", "_slow_step _lose _take_effect _restart _delete_pod", **_MESSAGE),
    # ... whose leader loses the Lease, and continues nevertheless
    _theme("second operator, slow requests, aborts", "_second _take_over _slow_step _take_effect _abort", **_MESSAGE),
    # ... by a replica whose watches lag
    _theme("standby, evictions", "_standby _step _answer _exit", **_MESSAGE, podCleanup="Always", maxIterations=4),
    # ... whose status lags behind several iterations, when the leader dies
    _theme("restarts, lag, names again", "_restart _answer _exit _step", **_MESSAGE),
    # hooks, called by pods of their own
    _theme("evictions, slow requests, restarts", "_evict _restart _hook", **_API, hooks=HOOKS),
    # runs that are deleted and created again while requests are on their way
    _theme("names again, slow requests, restarts", "_delete_run _create_again _lose"),
    # retries, while the definition changes
    _theme("definition changes, crashes, restarts", "_change_definition _crash", retry=_RETRIES),
)
"""The first one is a history about nothing in particular."""
