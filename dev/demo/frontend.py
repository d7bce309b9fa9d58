"""A GraphQL client of the gateway, as in the front end of an application; it uses no other part of the cluster."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from dev.cluster import ClusterError
from dev.demo.board import Row, bar

PROTOCOL: Final = "graphql-transport-ws"
"""https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md"""
TRIGGER: Final = (
    "mutation($input: JSON) { backgroundTasks { triggerTask(definition: wordCount, input: $input) "
    "{ data { id } error { message } } } }"
)
UPDATES: Final = (
    "subscription($id: ID!) { taskUpdated(id: $id) "
    "{ task { id taskStatus reason iterations executionName progress { percent message } } } }"
)
OUTPUT: Final = "query($id: ID!) { backgroundTasks { getTask(id: $id) { data { createdBy { id } output } } } }"
ENDED: Final = frozenset({"success", "failed", "aborted"})

Task = dict[str, Any]


@dataclass(frozen=True)
class FrontEnd:
    """A client of the gateway, for one user.

    Attributes:
        url: the URL of the gateway, with the namespace in its path.
        token: the token of the user.
    """

    url: str
    token: str

    def trigger(self, input_: dict[str, Any]) -> str:
        """Start a run of the word count, and return its id.

        Raises:
            ClusterError: the gateway rejects the request or does not respond.
        """
        answer = asyncio.run(self._ask(TRIGGER, {"input": input_}))["triggerTask"]
        if answer["error"]:
            raise ClusterError(f"The gateway did not start a run: {answer['error']['message']}")
        return str(answer["data"]["id"])

    def follow(self, ident: str, show: Callable[[Task], None], seconds: float) -> Task:
        """Call `show` with each state of a task until it is finished; return the last state, with the output.

        Raises:
            ClusterError: the subscription ends too early, or the task takes longer than `seconds`.
        """
        return asyncio.run(self._follow(ident, show, seconds))

    async def _follow(self, ident: str, show: Callable[[Task], None], seconds: float) -> Task:
        try:
            async with (
                asyncio.timeout(seconds),
                aiohttp.ClientSession() as session,
                session.ws_connect(self.url, protocols=[PROTOCOL]) as socket,
            ):
                # Browsers cannot set headers of WebSockets, so they are in the first message.
                await socket.send_json({"type": "connection_init", "payload": self._headers})
                subscription = {"query": UPDATES, "variables": {"id": ident}}
                await socket.send_json({"id": "1", "type": "subscribe", "payload": subscription})
                task = await _last(socket, show)
        except TimeoutError:
            raise ClusterError(f"{ident} should have finished within {seconds:.0f} s.") from None
        except aiohttp.ClientError as error:
            raise ClusterError(f"The gateway cannot be reached: {error}") from None
        answer: Task = (await self._ask(OUTPUT, {"id": ident}))["getTask"]["data"]
        return task | answer

    async def _ask(self, document: str, variables: dict[str, Any]) -> Any:
        body = {"query": document, "variables": variables}
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
                session.post(self.url, json=body, headers=self._headers) as response,
            ):
                text = await response.text()
                answer = json.loads(text) if response.content_type == "application/json" else {}
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(f"The gateway cannot be reached: {error or 'no answer within 30 s'}") from None
        if answer.get("errors") or not answer.get("data"):
            raise ClusterError(f"The gateway responded with {response.status}: {text}")
        return answer["data"]["backgroundTasks"]

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def _last(socket: aiohttp.ClientWebSocketResponse, show: Callable[[Task], None]) -> Task:
    """Read a subscription until the task is finished, and return the last state."""
    async for message in socket:
        received = json.loads(message.data)
        if received["type"] in {"connection_ack", "ping"}:
            continue
        updated = (received.get("payload") or {}).get("data") if received["type"] == "next" else None
        if not updated:
            raise ClusterError(f"The subscription has ended: {message.data}")
        task: Task = updated["taskUpdated"]["task"]
        show(task)
        if task["taskStatus"] in ENDED:
            return task
    raise ClusterError(f"The gateway has closed the subscription: {socket.close_code}")


def row(task: Task) -> Row:
    """Return the row of a task in the table of runs."""
    progress = task["progress"] or {}
    percent = progress.get("percent")
    return Row(
        run=task["id"],
        phase=task["taskStatus"],
        reason=task["reason"] or "",
        iteration=str(task["iterations"]),
        bar="" if percent is None else bar(percent),
        progress=progress.get("message") or "",
        pod=task["executionName"] or "",
    )
