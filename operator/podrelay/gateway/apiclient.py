"""A client of the API server that counts its requests."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self

from podrelay.gateway.metrics import API_REQUESTS
from podrelay.kube.client import Client
from podrelay.kube.errors import ApiError


class CountingClient(Client):
    """Counts requests by credentials, method and outcome. Streams are not counted."""

    credentials = "own"

    def on_behalf_of(self, token: str) -> Self:
        """Return this client with a caller's token."""
        other = super().on_behalf_of(token)
        other.credentials = "caller"
        return other

    def in_the_name_of(self, name: Callable[[], Awaitable[Sequence[tuple[str, str]]]]) -> Self:
        """Return this client impersonating a user."""
        other = super().in_the_name_of(name)
        other.credentials = "impersonated"
        return other

    async def request(self, method: str, path: str, **options: Any) -> bytes:
        """Send one request, as Client does."""
        outcome = "failed"
        try:
            answer = await super().request(method, path, **options)
            outcome = "ok"
        except ApiError as error:
            outcome = "5xx" if error.status >= 500 else "4xx"
            raise
        else:
            return answer
        finally:
            API_REQUESTS.labels(self.credentials, method, outcome).inc()
