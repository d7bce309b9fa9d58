"""Access: how long answers are cached, what happens in an outage, and that no unnecessary request is sent."""

import asyncio
import gc
import weakref
from types import TracebackType

import pytest

from podrelay.gateway import access
from podrelay.gateway.access import OUTAGE_SECONDS, Action
from podrelay.gateway.errors import NotAuthenticatedError, NotAuthorizedError, UnavailableError
from tests.unit.gateway.builders import run
from tests.unit.gateway.conftest import Gateway

LIST = Action("list", "taskruns", "shop")
REVIEWS = "selfsubjectaccessreviews"


async def check(gateway: Gateway, token: str = "alice", *, fresh: bool = False) -> None:
    await gateway.access.check(gateway.access.caller(f"Bearer {token}"), LIST, fresh=fresh)


async def test_a_yes_is_cached_for_ten_seconds(gateway: Gateway) -> None:
    await check(gateway)
    gateway.api.rights["alice"] = set()
    gateway.clock.time = 9.9
    await check(gateway)
    assert gateway.api.asked(REVIEWS) == 1

    gateway.clock.time = 10.1
    with pytest.raises(NotAuthorizedError, match="list taskruns"):
        await check(gateway)


async def test_a_no_is_cached_for_two_seconds(gateway: Gateway) -> None:
    for gateway.clock.time in (0, 1.9):
        with pytest.raises(NotAuthorizedError):
            await check(gateway, "bob")
    assert gateway.api.asked(REVIEWS) == 1

    gateway.api.rights["bob"] = {"list taskruns"}
    gateway.clock.time = 2.1
    await check(gateway, "bob")


async def test_a_no_keeps_nothing_of_the_operations_that_it_was_raised_in(gateway: Gateway) -> None:
    class OfAnOperation:
        pass

    async def operation() -> weakref.ref[OfAnOperation]:
        local = OfAnOperation()
        with pytest.raises(NotAuthorizedError) as refused:
            await check(gateway, "bob")
        assert str(refused.value) == "You are not allowed to list taskruns.podrelay.dev in namespace shop."
        return weakref.ref(local)

    first, second = await operation(), await operation()
    gc.collect()

    assert gateway.api.asked(REVIEWS) == 1
    assert (first(), second()) == (None, None)
    frames = (one.tb_frame.f_code.co_filename for one in gc.get_objects() if isinstance(one, TracebackType))
    assert access.__file__ not in frames, "the review itself is over"


async def test_a_fresh_check_ignores_the_cached_answer(gateway: Gateway) -> None:
    await check(gateway)
    gateway.api.rights["alice"] = set()

    with pytest.raises(NotAuthorizedError):
        await check(gateway, fresh=True)


async def test_one_user_does_not_get_the_answer_of_another(gateway: Gateway) -> None:
    await check(gateway)

    with pytest.raises(NotAuthorizedError):
        await check(gateway, "bob")
    with pytest.raises(NotAuthenticatedError):
        await check(gateway, "mallory")


async def test_concurrent_checks_of_the_same_right_send_one_request(gateway: Gateway) -> None:
    await asyncio.gather(*(check(gateway) for _ in range(20)))

    assert gateway.api.asked(REVIEWS) == 1


async def test_no_answer_is_a_no(gateway: Gateway) -> None:
    gateway.api.is_down = True
    with pytest.raises(UnavailableError):
        await check(gateway)

    gateway.api.is_down = False
    await check(gateway)
    gateway.api.is_down, gateway.clock.time = True, 11
    with pytest.raises(UnavailableError):
        await check(gateway)


async def test_in_an_outage_the_last_yes_remains_valid_for_a_while(gateway: Gateway) -> None:
    await check(gateway)
    gateway.api.is_down, gateway.watch.broken_since, gateway.clock.time = True, 0.0, 60
    await check(gateway)
    with pytest.raises(UnavailableError):
        await check(gateway, "bob")

    gateway.clock.time = OUTAGE_SECONDS + 1
    with pytest.raises(UnavailableError):
        await check(gateway)


async def test_a_newer_no_replaces_a_yes(gateway: Gateway) -> None:
    await check(gateway)
    gateway.api.rights["alice"] = set()
    with pytest.raises(NotAuthorizedError):
        await check(gateway, fresh=True)

    with pytest.raises(NotAuthorizedError):
        await check(gateway)
    gateway.api.is_down, gateway.watch.broken_since, gateway.clock.time = True, 0.0, 60
    with pytest.raises(UnavailableError):
        await check(gateway)


async def test_the_last_no_does_not_become_a_yes_in_an_outage(gateway: Gateway) -> None:
    with pytest.raises(NotAuthorizedError):
        await check(gateway, "bob")
    gateway.api.is_down, gateway.watch.broken_since, gateway.clock.time = True, 0.0, 60

    with pytest.raises(UnavailableError):
        await check(gateway, "bob")


@pytest.mark.parametrize(
    "header", [None, "", "Basic YQ==", "Bearer", "Bearer ", "Bearer a b", "Bearer a\u00e9", "alice"]
)
async def test_what_is_not_a_bearer_token_is_never_passed_on(gateway: Gateway, header: str | None) -> None:
    with pytest.raises(NotAuthenticatedError):
        gateway.access.caller(header)

    assert gateway.api.seen == []


async def test_without_authorization_no_request_is_sent(gateway: Gateway) -> None:
    response = await gateway.post({"query": "{ __typename }"}, None)

    assert response.status == 401
    assert gateway.api.seen == []


async def test_the_check_comes_before_the_look_up(gateway: Gateway) -> None:
    gateway.cache.runs.apply(run("words"))
    document = "query($id: ID!) { backgroundTasks { getTask(id: $id) { data { id } error { code message } } } }"
    answers = [await gateway.ask(document, "bob", id=ident) for ident in ("words", "missing")]

    assert answers[0] == answers[1]
    assert answers[0]["data"]["backgroundTasks"]["getTask"]["error"]["code"] == "BackgroundTasks/NotAuthorized"
