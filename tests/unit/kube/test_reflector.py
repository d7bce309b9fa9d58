"""A cache stays equal to its collection, regardless of failures of list and watch. The client is scripted."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from podrelay.kube.errors import ApiError, GoneError, TransportError
from podrelay.kube.reflector import SILENCE_SECONDS, Reflector
from podrelay.kube.resources import Resource
from tests.unit.operator.virtual_time import now, run_virtually

THINGS = Resource("example.com", "v1", "things")
real_sleep = asyncio.sleep


class Metadata(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str


class Thing(msgspec.Struct):
    metadata: Metadata
    size: int = 0


def thing(name: str, version: int, size: Any = 1) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "shop", "resourceVersion": str(version)}, "size": size}


def page(version: int, *items: dict[str, Any], more: str = "") -> bytes:
    return json.dumps({"metadata": {"resourceVersion": str(version), "continue": more}, "items": items}).encode()


def event(kind: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode()


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "Thing", "metadata": {"resourceVersion": str(version)}})


def status(code: int, reason: str) -> bytes:
    return event("ERROR", {"kind": "Status", "code": code, "reason": reason, "message": "words"})


class Sink:
    def __init__(self) -> None:
        self.things: dict[str, int] = {}
        self.vanished: list[str] = []

    def replace(self, objects: list[Thing], resource_version: str, namespace: str | None = None) -> None:
        listed = {item.metadata.name: item.size for item in objects}
        self.vanished += [name for name in self.things if name not in listed]
        self.things = listed

    def apply(self, obj: Thing) -> None:
        self.things[obj.metadata.name] = obj.size

    def remove(self, obj: Thing) -> None:
        self.things.pop(obj.metadata.name, None)


class Script:
    """A client that answers from two scripts, of lists and of watches; at their ends it does not respond."""

    def __init__(
        self, lists: list[bytes | Exception], watches: list[list[bytes | Exception]], newest: int = 1000
    ) -> None:
        self.lists, self.watches = lists, watches
        self.listed: list[dict[str, str]] = []
        self.patience: list[float] = []
        self.watched: list[dict[str, str]] = []
        self.over = asyncio.Event()
        self.newest = newest
        """The version of the collection, for requests that only read the version."""

    async def request(self, _method: str, _path: str, *, params: dict[str, str], timeout_seconds: float) -> bytes:
        if params["limit"] == "1":
            return page(self.newest)
        self.listed.append(dict(params))
        self.patience.append(timeout_seconds)
        if not self.lists:
            await self._silence()
        answer = self.lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def stream(
        self, _path: str, params: dict[str, str], _silence_seconds: float, *, opened: Callable[[], None]
    ) -> AsyncIterator[bytes]:
        self.watched.append(dict(params))
        if not self.watches:
            opened()
            await self._silence()
        for line in self.watches.pop(0):
            if isinstance(line, Exception):
                raise line
            yield line

    async def _silence(self) -> None:
        self.over.set()
        await asyncio.Event().wait()


Play = Callable[..., Awaitable[tuple[Sink, Script]]]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Replace sleeping: the pauses are only recorded."""
    noted: list[float] = []

    async def sleep(seconds: float) -> None:
        noted.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return noted


@pytest.fixture
def play(pauses: list[float]) -> Play:
    async def play(
        lists: list[bytes | Exception], watches: list[list[bytes | Exception]], newest: int = 1000, **options: Any
    ) -> tuple[Sink, Script]:
        sink, script = Sink(), Script(lists, watches, newest)
        reflector = Reflector(script, THINGS, Thing, sink, **options)  # type: ignore[arg-type]
        task = asyncio.create_task(reflector.run())
        over = asyncio.create_task(script.over.wait())
        await asyncio.wait({task, over}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), "a reflector never ends"
        assert script.over.is_set(), "the script did not reach its end"
        task.cancel()
        return sink, script

    return play


async def test_a_list_in_pages_is_followed_by_a_watch_from_its_version(play: Play) -> None:
    sink, script = await play([page(10, thing("a", 1), more="next"), page(10, thing("b", 2))], [])

    assert sink.things == {"a": 1, "b": 1}
    assert [params.get("continue") for params in script.listed] == [None, "next"]
    assert script.watched[0]["resourceVersion"] == "10"
    assert script.watched[0]["allowWatchBookmarks"] == "true"


async def test_events_change_the_cache(play: Play) -> None:
    events = [
        event("ADDED", thing("b", 11)),
        event("MODIFIED", thing("a", 12, 5)),
        event("DELETED", thing("b", 13)),
    ]

    sink, _ = await play([page(10, thing("a", 1))], [events])

    assert sink.things == {"a": 5}


async def test_a_watch_resumes_from_the_last_version_seen(play: Play, pauses: list[float]) -> None:
    _, script = await play([page(10)], [[event("ADDED", thing("a", 12))], [bookmark(30)]])

    assert [params["resourceVersion"] for params in script.watched] == ["10", "12", "30"]
    assert len(script.listed) == 1
    assert pauses == []


@pytest.mark.parametrize("expired", [GoneError(410, "Expired", "too old"), status(410, "Expired")])
async def test_an_expired_version_leads_to_a_new_list_immediately(
    play: Play, pauses: list[float], expired: bytes | Exception
) -> None:
    # given
    lists: list[Any] = [page(10, thing("a", 1), thing("b", 2)), page(50, thing("b", 2))]

    # when
    sink, script = await play(lists, [[expired]])

    # then the objects that were deleted meanwhile are reported
    assert sink.vanished == ["a"]
    assert sink.things == {"b": 1}
    assert script.watched[-1]["resourceVersion"] == "50"
    assert pauses == []


async def test_repeatedly_expired_versions_are_listed_with_pauses(play: Play, pauses: list[float]) -> None:
    gone = GoneError(410, "Expired", "too old")

    await play([page(10), page(10), page(10), gone, page(10)], [[gone], [gone], [gone]])

    assert len(pauses) == 3


async def test_another_error_in_a_watch_is_retried_without_a_new_list(play: Play, pauses: list[float]) -> None:
    _, script = await play([page(10)], [[status(500, "InternalError")], [status(500, "InternalError")]])

    assert len(script.listed) == 1
    assert [params["resourceVersion"] for params in script.watched] == ["10"] * 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        TimeoutError(),
        TransportError("cut off"),
        ApiError(403, "Forbidden", "no"),
        b"{",
        b"not json",
        b'{"type": "ADDED", "object": ' + b'{"a": ' * 20_000,
    ],
    ids=lambda trouble: str(trouble)[:20],
)
async def test_a_watch_continues_after_any_failure(play: Play, trouble: bytes | Exception) -> None:
    sink, _ = await play([page(10)], [[trouble], [event("ADDED", thing("a", 12))]])

    assert sink.things == {"a": 1}


async def test_a_failed_list_is_retried(play: Play) -> None:
    sink, _ = await play([ApiError(503, "", "no"), TimeoutError(), page(10, thing("a", 1))], [])

    assert sink.things == {"a": 1}


async def test_a_list_that_hangs_does_not_block_the_reflector_for_long(play: Play) -> None:
    """A large list may take longer, but most lists that do not respond quickly never will."""
    _, script = await play([*[TimeoutError() for _ in range(5)], page(10)], [])

    assert script.patience[:3] == [5, 10, 20]
    assert max(script.patience) == 60


async def test_pauses_grow_and_an_event_resets_them(play: Play, pauses: list[float]) -> None:
    trouble: list[list[Any]] = [[TimeoutError()] for _ in range(12)]

    await play([page(10)], [*trouble, [event("ADDED", thing("a", 12)), TimeoutError()]])

    assert pauses[0] <= 0.4
    assert pauses[6] > 5
    assert max(pauses) <= 30
    assert pauses[-1] <= 0.4


async def test_retry_after_is_obeyed(play: Play, pauses: list[float]) -> None:
    await play([ApiError(429, "TooManyRequests", "later", 17), page(10)], [])

    assert pauses == [17]


async def test_watches_that_end_immediately_are_reopened_with_pauses(play: Play, pauses: list[float]) -> None:
    await play([page(10)], [[], [], []])

    assert len(pauses) == 3


async def test_an_object_that_cannot_be_decoded_does_not_hide_the_others(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    # given one broken object in the list, and one in the watch
    events = [event("ADDED", thing("broken", 11, "large")), event("ADDED", thing("c", 12))]

    # when
    sink, script = await play([page(10, thing("a", 1), thing("bad", 2, "large"))], [events])

    # then
    assert sink.things == {"a": 1, "c": 1}
    assert len(script.listed) == 1
    assert script.watched[-1]["resourceVersion"] == "12"
    assert [getattr(line, "object", "") for line in caplog.records if "cannot be decoded" in line.getMessage()] == [
        "shop/bad",
        "shop/broken",
    ]


async def test_selectors_are_sent_with_every_request(play: Play) -> None:
    _, script = await play([page(10)], [], namespace="shop", selector="podrelay.dev/run", fields="metadata.name=a")

    assert script.listed[0]["labelSelector"] == script.watched[0]["labelSelector"] == "podrelay.dev/run"
    assert script.listed[0]["fieldSelector"] == script.watched[0]["fieldSelector"] == "metadata.name=a"


async def test_a_missing_permission_is_reported_without_flooding_the_log(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    denials: list[str] = []
    refusals = [ApiError(403, "Forbidden", "no") for _ in range(5)]

    sink, _ = await play([*refusals, TimeoutError(), page(10, thing("a", 1))], [], denied=denials.append)

    assert sink.things == {"a": 1}
    assert denials == ["no"] * 5
    assert len([line for line in caplog.records if "watch interrupted" in line.getMessage()]) == 1


class CalmServer:
    """A collection without events or bookmarks for a while; then there is an object."""

    def __init__(self, silent_watches: int) -> None:
        self.silent_watches = silent_watches
        self.watched_at: list[float] = []

    async def request(self, *_: Any, **__: Any) -> bytes:
        return page(10)

    async def stream(
        self, _path: str, _params: dict[str, str], silence_seconds: float, **_: Any
    ) -> AsyncIterator[bytes]:
        self.watched_at.append(now())
        if len(self.watched_at) <= self.silent_watches:
            await asyncio.sleep(silence_seconds)
            raise TimeoutError
        yield event("ADDED", thing("a", 11))
        await asyncio.Event().wait()


def test_a_quiet_collection_is_watched_again_immediately() -> None:
    async def gaps() -> list[float]:
        server, sink = CalmServer(silent_watches=10), Sink()
        task = asyncio.create_task(Reflector(server, THINGS, Thing, sink).run())  # type: ignore[arg-type]
        while not sink.things:  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(1)
        task.cancel()
        return [later - earlier - SILENCE_SECONDS for earlier, later in itertools.pairwise(server.watched_at)]

    assert max(run_virtually(gaps())) < 0.5


async def test_the_reflector_is_synced_only_after_the_whole_list() -> None:
    script = Script([page(10, thing("a", 1), more="next")], [])
    reflector = Reflector(script, THINGS, Thing, Sink())  # type: ignore[arg-type]

    task = asyncio.create_task(reflector.run())
    await script.over.wait()

    assert not reflector.synced.is_set()
    task.cancel()


async def test_the_reflector_is_broken_from_the_first_failure_until_a_watch_is_open(pauses: list[float]) -> None:
    script = Script([page(10)], [[TransportError("connection refused")]])
    reflector = Reflector(script, THINGS, Thing, Sink())  # type: ignore[arg-type]
    seen: list[str | None] = []
    pause = reflector._pause

    async def noting(*arguments: Any) -> None:
        await pause(*arguments)
        seen.append(reflector.problem)

    reflector._pause = noting  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(reflector.run())
    await script.over.wait()

    assert seen == ["connection refused"]
    async with asyncio.timeout(5):
        while reflector.broken_since is not None:
            await real_sleep(0.01)
    assert reflector.problem is None
    task.cancel()


async def test_the_backoff_is_reset_after_a_successful_list(play: Play, pauses: list[float]) -> None:
    """Earlier failures of the list do not delay a reopened watch."""
    lists: list[Any] = [*[TimeoutError() for _ in range(10)], page(10)]

    await play(lists, [[TransportError("connection refused")]])

    assert pauses[9] >= 5
    assert pauses[10] <= 0.4


async def test_a_restored_collection_is_listed_again_after_an_interruption(play: Play) -> None:
    """The API server accepts a watch from a future version, but sends no events until that version is reached."""
    # given a watch that has seen version 500, and is interrupted by a restore of version 100
    reported: list[str] = []
    script_lists: list[Any] = [page(490, thing("a", 480)), page(100, thing("a", 50, 7), thing("b", 60))]
    events: list[Any] = [event("ADDED", thing("new", 500)), TransportError("connection refused")]

    sink, script = await play(script_lists, [events], restored=lambda: reported.append("restored"), newest=100)

    assert reported == ["restored"]
    assert sink.things == {"a": 7, "b": 1}
    assert [params["resourceVersion"] for params in script.watched] == ["490", "100"]


async def test_a_list_with_an_older_version_than_seen_is_reported(play: Play) -> None:
    reported: list[str] = []
    lists: list[Any] = [page(490), page(100, thing("a", 50))]
    watch: list[Any] = [event("ADDED", thing("new", 500)), status(410, "Expired")]

    sink, _ = await play(lists, [watch], restored=lambda: reported.append("restored"))

    assert reported == ["restored"]
    assert sink.things == {"a": 1}


async def test_interruptions_without_a_restore_are_not_reported(play: Play) -> None:
    reported: list[str] = []
    trouble: list[list[Any]] = [[TransportError("connection refused")] for _ in range(3)]

    await play([page(10)], trouble, restored=lambda: reported.append("restored"), newest=10)

    assert reported == []


class BrokenServer:
    """A collection whose watches are accepted and then end immediately with an error."""

    def __init__(self) -> None:
        self.heals_at = 60.0

    async def request(self, *_: Any, **__: Any) -> bytes:
        return page(10)

    async def stream(self, *_: Any, opened: Callable[[], None], **__: Any) -> AsyncIterator[bytes]:
        opened()
        if now() < self.heals_at:
            yield status(500, "InternalError")
        await asyncio.Event().wait()


def test_a_watch_that_opens_and_fails_immediately_stays_broken() -> None:
    async def main() -> tuple[float, str | None, list[float]]:
        interrupted: list[float] = []
        reflector = Reflector(BrokenServer(), THINGS, Thing, Sink(), interrupted=lambda: interrupted.append(now()))  # type: ignore[arg-type]
        task = asyncio.create_task(reflector.run())
        await asyncio.sleep(50)
        assert reflector.broken_since is not None
        broken, problem = now() - reflector.broken_since, reflector.problem
        await asyncio.sleep(25)
        assert reflector.broken_since is None
        task.cancel()
        return broken, problem, interrupted

    broken, problem, interrupted = run_virtually(main())
    assert broken == pytest.approx(50, abs=0.1)
    assert problem == "500 InternalError: words"
    assert len(interrupted) == 1


class SlowServer:
    """A slow list, page by page, after a watch whose version has expired."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.lists = 0

    async def request(self, _method: str, _path: str, *, params: dict[str, str], **_: Any) -> bytes:
        number = int(params.get("continue", "1"))
        if number == 1:
            self.lists += 1
        if self.lists > 1:
            await asyncio.sleep(4)
        return page(10, more=str(number + 1) if number < self.pages else "")

    async def stream(self, *_: Any, opened: Callable[[], None], **__: Any) -> AsyncIterator[bytes]:
        opened()
        if self.lists == 1:
            yield status(410, "Expired")
        await asyncio.Event().wait()


def test_a_slow_list_that_progresses_page_by_page_is_not_broken() -> None:
    async def main() -> list[float]:
        reflector = Reflector(SlowServer(pages=20), THINGS, Thing, Sink())  # type: ignore[arg-type]
        task = asyncio.create_task(reflector.run())
        blind = []
        for _ in range(78):
            await asyncio.sleep(1)
            assert reflector.broken_since is not None
            blind.append(now() - reflector.broken_since)
        await asyncio.sleep(10)
        assert reflector.broken_since is None
        task.cancel()
        return blind

    assert max(run_virtually(main())) <= 4.1
