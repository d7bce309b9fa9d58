"""Slow or endless admission: runs wait for it, show that, and do not delay others."""

import threading
from pathlib import Path

import pytest

from dev.harness.operator import OperatorProcess
from dev.harness.waiting import eventually
from tests.support.relay import Relay
from tests.support.webhook import Webhook, pod_webhook

pytestmark = pytest.mark.integration

RUNS = 40


def never_answers(webhook: Webhook, _number: int) -> None:
    webhook.wait(600)


def test_slow_admission_is_waited_for_without_delaying_other_definitions(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define_script("slow", "true")
    relay.define_script("quick", "true")
    other_has_finished = threading.Event()
    overtaken: list[int] = []

    def takes_seven_seconds_and_until_the_other_has_finished(webhook: Webhook, number: int) -> None:
        webhook.wait(7)
        if not other_has_finished.wait(18):  # the API server waits for 30 s
            overtaken.append(number)

    with (
        pod_webhook(relay.kubectl, tmp_path, "slow", takes_seven_seconds_and_until_the_other_has_finished) as webhook,
        OperatorProcess(relay.kubectl, tmp_path / "operator"),
    ):
        for number in range(RUNS):
            relay.run(f"slow{number}", "slow")
        # The additional call is the review of the definition.
        eventually("as many pods as may wait for their admission do", lambda: webhook.calls > 16)

        relay.run("other", "quick")
        assert relay.finished("other")["phase"] == "Succeeded"
        other_has_finished.set()
        assert overtaken == [], "it has not waited for the others"

        for number in range(RUNS):
            assert relay.finished(f"slow{number}", 120)["phase"] == "Succeeded"
        assert webhook.calls <= RUNS + 2, "no pod was requested twice"


def test_a_webhook_that_never_answers_is_reported_and_ends_the_run_in_time(idle_relay: Relay, tmp_path: Path) -> None:
    relay = idle_relay
    relay.define_script("stuck", "true", pendingTimeoutSeconds=20)
    with (
        pod_webhook(relay.kubectl, tmp_path, "stuck", never_answers),
        OperatorProcess(relay.kubectl, tmp_path / "operator"),
    ):
        relay.run("stuck", "stuck")

        shown = relay.until("stuck", "it says why", 60, reason="InternalError")
        assert "failed calling webhook" in shown["message"]
        failed = relay.finished("stuck", 90)

        assert (failed["phase"], failed["reason"]) == ("Failed", "InternalError")
        assert "no pod could be started within 20 s" in failed["message"]
        assert relay.pods("stuck") == []
