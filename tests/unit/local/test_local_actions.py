"""Every action that the planner may ask for is carried out without a cluster, too."""

from typing import get_args

from podrelay.local.actions import HANDLERS
from podrelay.reconciler.view import Action


def test_there_is_a_function_for_every_action() -> None:
    assert set(HANDLERS) == set(get_args(Action))
