"""One Lease, two replicas, virtual time."""

import asyncio
import itertools
import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from podrelay.kube.errors import AlreadyExistsError, ApiError, ConflictError, NotFoundError
from podrelay.kube.resources import Resource
from podrelay.operator.leader_election import LeaderElection, LeadershipLostError
from podrelay.operator.server_clock import ServerClock
from tests.unit.operator.virtual_time import jump, now, run_virtually


class Leases:
    """The API server with one Lease."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.versions = itertools.count(1)
        self.is_down = False
        self.is_silent = False
        self.is_slow = False
        self.requests = 0
        self.ahead = 0.0
        self.clocks: list[ServerClock] = []

    @property
    def server_time(self) -> datetime:
        return datetime(2026, 11, 29, tzinfo=UTC) + timedelta(seconds=now() + self.ahead)

    def server_clock(self) -> ServerClock:
        """Return a clock that receives the Date headers of all responses."""
        self.clocks.append(ServerClock(now))
        return self.clocks[-1]

    @property
    def holder(self) -> str:
        return self.lease["spec"]["holderIdentity"] if self.lease else ""

    async def _arrive(self) -> None:
        self.requests += 1
        await asyncio.sleep(0.01)
        for clock in self.clocks:
            clock.observe(format_datetime(self.server_time, usegmt=True), 0.01)
        if self.is_silent:
            await asyncio.sleep(5)
            raise TimeoutError
        if self.is_down:
            raise ApiError(503, "ServiceUnavailable", "down")

    async def get(self, _resource: Resource, _namespace: str, name: str) -> bytes:
        await self._arrive()
        await asyncio.sleep(4.9 if self.is_slow else 0)
        if self.lease is None:
            raise NotFoundError(404, "NotFound", name)
        return json.dumps(self.lease).encode()

    async def create(self, _resource: Resource, _namespace: str, body: dict[str, Any]) -> bytes:
        await self._arrive()
        if self.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "")
        return self._store(body)

    async def replace(self, _resource: Resource, _namespace: str, _name: str, body: dict[str, Any]) -> bytes:
        await self._arrive()
        if self.is_slow:
            await asyncio.sleep(5)
            raise TimeoutError
        if self.lease is None or body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "")
        return self._store(body)

    def _store(self, body: dict[str, Any]) -> bytes:
        self.lease = json.loads(json.dumps(body))
        self.lease["metadata"]["resourceVersion"] = str(next(self.versions))
        return json.dumps(self.lease).encode()


class Replica:
    def __init__(self, leases: Leases, identity: str) -> None:
        self.can_see = True
        self.restored = 0
        self.election = LeaderElection(
            leases,  # type: ignore[arg-type]
            "system",
            "operator",
            identity,
            clock=now,
            restored=self._is_restored,
            server_clock=leases.server_clock(),
        )
        self.task = asyncio.create_task(self._term())

    async def _term(self) -> None:
        await self.election.acquire(lambda: self.can_see)
        await self.election.keep()

    def _is_restored(self) -> None:
        self.restored += 1

    @property
    def leads(self) -> bool:
        return self.election.held.is_set()

    @property
    def may_create(self) -> bool:
        try:
            self.election.require()
        except LeadershipLostError:
            return False
        return True

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.election.release()

    def die(self) -> None:
        self.task.cancel()


def test_of_two_replicas_only_one_leads() -> None:
    async def main() -> None:
        leases = Leases()
        replicas = [Replica(leases, "a"), Replica(leases, "b")]
        for _ in range(300):
            await asyncio.sleep(1)
            assert sum(replica.leads for replica in replicas) == 1
            assert sum(replica.may_create for replica in replicas) == 1

    run_virtually(main())


@pytest.mark.parametrize("seconds", [20.0, 21.7, 23.3, 24.9])
@pytest.mark.parametrize("ahead", [-7200.4, 0.0, 0.7, 3600.9])
def test_no_pod_can_be_created_after_another_replica_leads(seconds: float, ahead: float) -> None:
    """The deadline of a pod is before the expiry of the Lease, by the clock that sets creation times."""

    async def main() -> None:
        leases = Leases()
        leases.ahead = ahead
        first = Replica(leases, "a")
        await asyncio.sleep(2)
        second = Replica(leases, "b")
        await asyncio.sleep(seconds)
        deadline = first.election.good_until()
        assert deadline is not None
        assert deadline > leases.server_time + timedelta(seconds=5), "there is time to create a pod"

        first.die()
        await second.election.held.wait()

        created_last = deadline.replace(microsecond=0) + timedelta(seconds=1)  # creation times are cut to seconds
        assert created_last < leases.server_time - timedelta(seconds=1)

    run_virtually(main())


def test_a_replica_without_the_lease_knows_no_deadline() -> None:
    """A worker may still ask for it between the loss of the Lease and its own end."""

    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        assert replica.election.good_until() is None
        await asyncio.sleep(30)
        assert replica.election.good_until() is not None

        assert leases.lease is not None
        leases.lease["spec"]["holderIdentity"] = "b"
        await asyncio.sleep(30)

        assert not replica.leads
        assert replica.election.good_until() is None

    run_virtually(main())


def test_others_wait_at_least_as_long_as_the_holder_relies_on() -> None:
    async def main() -> None:
        leases = Leases()
        election = LeaderElection(leases, "system", "operator", "a", 1.4, now)  # type: ignore[arg-type]
        await election.acquire()

        assert leases.lease is not None
        assert leases.lease["spec"]["leaseDurationSeconds"] == 2

    run_virtually(main())


def test_a_replica_that_died_is_followed_after_the_lease_has_not_changed_for_its_duration() -> None:
    async def main() -> None:
        leases = Leases()
        first = Replica(leases, "a")
        await asyncio.sleep(60)
        second = Replica(leases, "b")
        await asyncio.sleep(4)

        first.die()
        died = now()
        await second.election.held.wait()

        assert 10 <= now() - died <= 15 + 2 + 1
        assert leases.lease is not None
        assert leases.lease["spec"]["leaseTransitions"] == 1

    run_virtually(main())


def test_the_timestamps_in_the_lease_decide_nothing() -> None:
    async def main() -> None:
        # given a Lease of a replica whose clock is years behind
        leases = Leases()
        spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2001-01-01T00:00:00.000000Z"}
        leases._store({"metadata": {"name": "operator"}, "spec": spec})

        replica = Replica(leases, "b")
        await asyncio.sleep(14)
        assert not replica.leads

        await replica.election.held.wait()
        assert 15 <= now() <= 18

    run_virtually(main())


def test_a_clean_stop_lets_the_next_replica_in_within_one_retry() -> None:
    async def main() -> None:
        leases = Leases()
        first = Replica(leases, "a")
        await asyncio.sleep(1)
        second = Replica(leases, "b")
        await asyncio.sleep(10)

        await first.stop()
        stopped = now()
        assert leases.holder == ""
        await second.election.held.wait()

        assert now() - stopped <= 2.1

    run_virtually(main())


def test_a_replica_that_never_led_releases_nothing() -> None:
    async def main() -> None:
        leases = Leases()
        Replica(leases, "a")
        await asyncio.sleep(1)
        second = Replica(leases, "b")
        await asyncio.sleep(5)

        await second.stop()

        assert leases.holder == "a"

    run_virtually(main())


@pytest.mark.parametrize("trouble", ["is_down", "is_silent"])
def test_a_holder_that_cannot_renew_stops_within_two_thirds_of_the_duration(trouble: str) -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        setattr(leases, trouble, True)
        began = now()

        await replica.task

        assert not replica.leads
        assert now() - began <= 10 + 1.5 + 0.1

    run_virtually(main())


def test_a_renewal_in_flight_is_cancelled_when_its_time_is_over() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        renewed = replica.election._renewed_at
        leases.is_slow = True

        await replica.task

        assert now() - renewed <= 10 + 1.5 + 0.1

    run_virtually(main())


def test_a_short_interruption_changes_nothing() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)

        leases.is_down = True
        await asyncio.sleep(4)
        leases.is_down = False
        await asyncio.sleep(60)

        assert replica.leads
        assert replica.may_create

    run_virtually(main())


def test_a_holder_that_was_stopped_for_long_creates_nothing_and_steps_down() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        assert replica.may_create

        jump(60)

        assert not replica.may_create
        await replica.task
        assert not replica.leads
        assert now() <= 121

    run_virtually(main())


def test_a_late_holder_creates_nothing_even_before_the_lease_has_expired() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)

        jump(10.1 - 5)  # at least 10.1 s since the last renewal in the worst case
        await asyncio.sleep(0)
        leases.is_silent = True
        jump(5)

        assert not replica.may_create

    run_virtually(main())


def test_a_holder_whose_lease_was_taken_steps_down_at_once() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        assert leases.lease is not None
        leases.lease["spec"]["holderIdentity"] = "thief"
        began = now()

        await replica.task

        assert now() - began <= 5.1
        assert not replica.may_create

    run_virtually(main())


def test_an_idle_holder_sends_two_requests_every_five_seconds() -> None:
    async def main() -> None:
        leases = Leases()
        Replica(leases, "a")
        await asyncio.sleep(1000)

        assert leases.requests <= 2 * 1000 / 5 + 10

    run_virtually(main())


def test_a_holder_that_could_not_renew_leads_again_at_once_if_the_lease_was_not_taken() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        leases.is_down = True
        await replica.task
        leases.is_down = False
        again, began = asyncio.create_task(replica._term()), now()

        await replica.election.held.wait()

        assert now() - began <= 0.1
        assert replica.may_create
        again.cancel()

    run_virtually(main())


def test_a_former_leader_waits_for_the_new_leader() -> None:
    async def main() -> None:
        leases = Leases()
        first = Replica(leases, "a")
        await asyncio.sleep(60)
        leases.is_down = True
        await first.task
        await asyncio.sleep(20)
        leases.is_down = False
        second = Replica(leases, "b")
        await asyncio.sleep(0)
        again = asyncio.create_task(first._term())
        await asyncio.sleep(100)

        # only the holder according to the API server may continue
        assert sum(replica.leads for replica in (first, second)) == 1
        assert leases.holder == ("a" if first.leads else "b")
        again.cancel()

    run_virtually(main())


def test_a_replica_with_broken_watches_does_not_request_the_lease() -> None:
    async def main() -> None:
        leases = Leases()
        blind = Replica(leases, "a")
        blind.can_see = False
        await asyncio.sleep(60)
        assert leases.holder == ""
        assert leases.requests == 0

        blind.can_see = True
        await blind.election.held.wait()

        assert now() <= 63

    run_virtually(main())


def test_a_lease_is_not_held_any_longer_once_it_is_released() -> None:
    async def main() -> None:
        leases = Leases()
        replica = Replica(leases, "a")
        await asyncio.sleep(10)

        await replica.stop()

        assert not replica.leads
        assert not replica.may_create
        await replica.election.release()
        assert leases.holder == ""

    run_virtually(main())


@pytest.mark.parametrize("leads", [True, False])
def test_a_lease_whose_versions_go_back_reveals_a_restored_api_server(leads: bool) -> None:
    async def main() -> None:
        leases = Leases()
        leases.versions = itertools.count(1000)
        leader, standby = Replica(leases, "a"), Replica(leases, "b")
        await asyncio.sleep(60)
        assert (leader.restored, standby.restored) == (0, 0)

        leases.versions = itertools.count(500)
        assert leases.lease is not None
        leases.lease["metadata"]["resourceVersion"] = "499"
        await asyncio.sleep(10)

        assert (leader if leads else standby).restored == 1

    run_virtually(main())


def test_a_restore_that_is_already_handled_is_not_reported_again() -> None:
    async def main() -> None:
        leases = Leases()
        leases.versions = itertools.count(1000)
        replica = Replica(leases, "a")
        await asyncio.sleep(60)
        leases.versions = itertools.count(500)
        assert leases.lease is not None
        leases.lease["metadata"]["resourceVersion"] = "499"

        replica.election.forget_version()
        await asyncio.sleep(60)

        assert replica.restored == 0

    run_virtually(main())


@pytest.mark.parametrize("leads", [True, False])
def test_an_api_server_that_does_not_answer_is_a_problem_after_a_few_seconds(leads: bool) -> None:
    async def main() -> None:
        leases = Leases()
        leader, standby = Replica(leases, "a"), Replica(leases, "b")
        await asyncio.sleep(60)
        election = (leader if leads else standby).election
        leases.is_down = True
        await asyncio.sleep(5)
        assert election.problem() is None

        await asyncio.sleep(15)
        problem = election.problem()
        assert problem is not None
        assert re.search(r"has not answered for (1\d|20) s", problem)
        assert "503" in problem

        leases.is_down = False
        again = asyncio.create_task(leader._term())
        await asyncio.sleep(5)
        assert election.problem() is None
        again.cancel()

    run_virtually(main())
