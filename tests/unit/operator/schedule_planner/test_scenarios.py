"""The scenarios of tests/support/schedulescenarios.py in virtual time."""

from datetime import timedelta

import pytest

from podrelay.api import names
from tests.support.schedulemodel import BEGIN, NAMESPACE, World
from tests.support.schedulescenarios import END_SECONDS, SCENARIOS, ScheduleScenario, first_time, outcome_of


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_has_the_expected_outcome(scenario: ScheduleScenario) -> None:
    begin = first_time(BEGIN)
    world = World(**scenario.spec_from(begin))
    operator = world.operator()
    for step in scenario.steps:
        world.play(operator, until=begin + timedelta(seconds=step.seconds))
        if step.action == "patch":
            world.patch(**step.spec)
        else:
            world.finish_all("Aborted")
    world.play(operator, until=begin + timedelta(seconds=END_SECONDS))

    assert outcome_of(world.api.get(names.TASK_SCHEDULES, NAMESPACE, world.name)["status"]) == scenario.expected
