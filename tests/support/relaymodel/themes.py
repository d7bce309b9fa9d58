"""Dangerous situations, each of which needs several things at once that random histories seldom combine."""

from typing import Any, Final, NamedTuple

from tests.support.relaymodel import lateness, scenes, takeovers
from tests.support.relaymodel.scenes import Scene

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
        scenes: what is played in it as a whole, see `scenes` and `takeovers`.
    """

    troubles: frozenset[str] = frozenset()
    favours: frozenset[str] = frozenset()
    definition: dict[str, Any] = {}  # noqa: RUF012 - never changed
    skew: int | None = None
    scenes: tuple[Scene, ...] = ()

    @property
    def has_deadlines(self) -> bool:
        """Whether the operators trust the API server's clock in any case."""
        return any(scene.__module__ == takeovers.__name__ for scene in self.scenes)


def _theme(
    troubles: str, favours: str, skew: int | None = None, *, plays: tuple[Scene, ...] = (), **definition: Any
) -> Theme:
    separate = frozenset(troubles.split(", ")) - {""}
    return Theme(separate, frozenset(favours.split()), definition, skew, plays)


_API: Final[dict[str, Any]] = {"reporting": "API"}
_MESSAGE: Final[dict[str, Any]] = {"reporting": "TerminationMessage"}
_UNCLAIMED: Final[dict[str, Any]] = {**_MESSAGE, "podCleanup": "Always", "maxIterations": 4, "disruptionRetries": 3}
_STANDBY: Final[dict[str, Any]] = {
    **_API,
    "maxIterations": 3,
    "standby": {"afterSeconds": 0},
    "heartbeatTimeoutSeconds": 600,
}
_RETRIES: Final = {"limit": 2, "on": ["Error", "PodFailure", "Timeout"]}

THEMES: Final = (
    Theme(),
    # a pod that was deleted by force is kept by a foreign finalizer, and its container continues to run
    _theme(
        "force, foreign finalizers, slow nodes",
        "_force_delete",
        plays=(scenes.is_left_behind,),
        **_API,
        disruptionRetries=3,
    ),
    # the garbage collector removes the pods of a lost node, which comes back
    _theme(
        "nodes", "_lose_node _collect_pods _find_nodes", plays=(scenes.is_left_behind,), **_API, disruptionRetries=3
    ),
    # the same, and the finalizer of another party keeps the pods
    _theme("nodes, foreign finalizers", "_hold_pod _lose_node _collect_pods", **_API, disruptionRetries=3),
    # heartbeats, by nodes whose clocks are late
    _theme("", "_beat _advance", -70, plays=(lateness.is_silent_for_a_moment,), **_API, heartbeatTimeoutSeconds=60),
    # heartbeats that the operator sees late
    _theme(
        "lag",
        "_beat _advance _lag _step",
        plays=(lateness.is_silent_for_a_moment,),
        **_API,
        heartbeatTimeoutSeconds=60,
    ),
    # a pod whose creation got no response, and a run that ends
    _theme("slow requests, aborts, lag", "_slow_step _lose _abort"),
    # each attempt continues from the newest checkpoint
    _theme(
        "crashes",
        "_checkpoint _crash",
        plays=(scenes.fails_again, lateness.is_disrupted_twice),
        **_API,
        retry=_RETRIES,
        disruptionRetries=3,
    ),
    # two pods of the same name, one after the other
    _theme("force, second operator, slow requests", "_force_delete _second", **_API, disruptionRetries=3),
    # pods that start unclaimed: another leader knows nothing of them
    _theme("standby", "_work", plays=(takeovers.is_unknown_to_the_next_leader,), **_UNCLAIMED),
    # ... or their creation takes effect late
    _theme("slow requests", "_work", plays=(takeovers.gets_no_response,), **_UNCLAIMED),
    _theme("aborts", "_work", plays=(takeovers.is_aborted_before_the_response,), **_UNCLAIMED),
    _theme("second operator", "_take_over", plays=(takeovers.is_created_for_a_former_leader,), **_UNCLAIMED),
    # ... or they are gone before the status names them
    _theme("evictions", "_step", plays=(takeovers.is_gone_before_the_status_names_it,), **_UNCLAIMED),
    # ... or their status lags behind several iterations, when the leader dies
    _theme("restarts, lag, names again", "_restart _answer _exit _step", **_UNCLAIMED),
    # hooks, called by pods of their own
    _theme("evictions, slow requests, restarts", "_evict _restart _hook", **_API, hooks=HOOKS),
    # runs that are deleted and created again while requests are on their way
    _theme("names again, slow requests, restarts", "_delete_run _create_again _lose"),
    _theme(
        "slow requests",
        "_slow_step",
        plays=(lateness.reads_the_input_of_a_former_run,),
        inputSchema={"type": "object", "properties": {"valid": {"const": True}}},
    ),
    # programs that end while their pods are deleted
    _theme(
        "slow nodes, evictions",
        "_exit",
        plays=(lateness.is_drained_as_it_ends,),
        **_MESSAGE,
        disruptionRetries=3,
    ),
    _theme("evictions", "_exit", 70, plays=(takeovers.ends_by_two_clocks,), **_UNCLAIMED),
    # retries, while the definition changes
    _theme(
        "definition changes, crashes, restarts",
        "_change_definition _crash",
        plays=(scenes.is_decided_already,),
        retry=_RETRIES,
        disruptionRetries=3,
    ),
    # pods that other operators have not seen yet, or that are created too late
    _theme("", "", plays=(scenes.ends_unseen, scenes.comes_late), disruptionRetries=3),
    # the names and gates of pods that were deleted by force
    _theme("", "", plays=(scenes.has_a_name_again,), **_API, disruptionRetries=3),
    _theme("", "", plays=(scenes.opens_late,), **_MESSAGE, disruptionRetries=3),
    # pods that do not start in time
    _theme("slow nodes", "_start _advance", plays=(scenes.starts_too_late,), disruptionRetries=3),
    # hooks whose outcomes are seen late, or that belong to another run
    _theme(
        "lag, names again",
        "_answer _hook",
        plays=(scenes.calls_hooks_unseen, scenes.calls_hooks_of_another_run, lateness.waits_to_call_hooks),
        **_API,
        hooks=HOOKS,
        disruptionRetries=3,
    ),
    # runs that wait for their children
    _theme("lag", "_end_child", plays=(scenes.waits_for_children,), **_API, maxIterations=4),
    # pods that wait for long until they are released
    _theme("evictions", "_work", plays=(scenes.has_a_standby,), **_STANDBY, maxConcurrentRuns=1),
    _theme("suspension, aborts", "_work", plays=(scenes.has_a_standby,), **_STANDBY),
    # objects of others that have the name of the next pod
    _theme("stolen names", "_squat"),
)
"""The first one is a history about nothing in particular."""
