"""HTTP and WebSocket: authentication, the checks of a request, and the headers and status of its response."""

import asyncio
import json
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson
from aiohttp import WSCloseCode, web
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from strawberry.aiohttp.views import GraphQLView
from strawberry.exceptions import ConnectionRejectionError, MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema import BaseSchema
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult, SubscriptionExecutionResult
from strawberry.types.graphql import OperationType

from podrelay.api import names
from podrelay.gateway import read_your_writes
from podrelay.gateway.call import NAMESPACE_HEADER, Call, Scope, Services
from podrelay.gateway.encoding import encode
from podrelay.gateway.errors import (
    GatewayError,
    LimitError,
    NotAuthenticatedError,
    NotAuthorizedError,
    UnavailableError,
    ValidationError,
    masked,
)
from podrelay.gateway.http import batches, bodies, connections
from podrelay.gateway.http.connections import Connections
from podrelay.gateway.http.cors import STALE_HEADER, Handler, cors
from podrelay.gateway.http.counting import requests
from podrelay.gateway.http.messages import CheckedSocket
from podrelay.gateway.http.pieces import LARGE_BODY, Pieces
from podrelay.gateway.http.tenants import ASSUME_HEADER, PATH, TENANT_HEADER, scope_of
from podrelay.gateway.per_user_limits import TooManyError
from podrelay.gateway.read_your_writes import READ_AFTER_HEADER
from podrelay.kube.resources import Key

MAX_BODY: Final = 1024 * 1024
MAX_MESSAGE: Final = 1024 * 1024
PING_SECONDS: Final = 30.0
HSTS: Final = "max-age=31536000"
"""For one year. Without includeSubDomains, because subdomains do not belong to the gateway."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

DEFAULT_CONNECTIONS: Final = 1000

_SOCKET: Final = web.RequestKey("socket", web.WebSocketResponse)
_USER: Final = web.RequestKey("user", str)
_TOO_MANY: Final = 4429
"""The close code that graphql-transport-ws uses for too many initialisation requests."""
_OVER_HTTP: Final = {OperationType.QUERY, OperationType.MUTATION}

_STATUS: Final[Mapping[type[GatewayError], int]] = {
    NotAuthenticatedError: 401,
    NotAuthorizedError: 403,
    UnavailableError: 503,
    LimitError: 413,
}


@dataclass(frozen=True)
class ServerOptions:
    """How requests are served.

    Attributes:
        namespace: the namespace of requests that do not name one.
        origins: the other origins whose web pages may call the gateway.
        loopback_only: whether Host and Origin of a request must be loopback names.
        subscriptions_per_connection: concurrent operations on one WebSocket.
        served: the namespaces whose objects are in the cache; empty: all.
        is_tls: whether clients connect over TLS, to the gateway itself or to a proxy in front of it.
    """

    namespace: str
    origins: tuple[str, ...] = ()
    loopback_only: bool = False
    subscriptions_per_connection: int = 50
    served: frozenset[str] = frozenset()
    is_tls: bool = False


class View(GraphQLView[Call, None]):
    """strawberry's view with the gateway's context, JSON encoding and limits."""

    websocket_adapter_class = CheckedSocket

    def __init__(
        self, schema: BaseSchema, services: Services, options: ServerOptions, open_connections: Connections
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=10),
            max_subscriptions_per_connection=options.subscriptions_per_connection,
            allowed_origins=options.origins,
        )
        self._services = services
        self._options = options
        self._connections = open_connections
        self._sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, or serve one WebSocket until it is closed."""
        if self.is_websocket_request(request):
            try:
                self._scope(request, {})
            except ValidationError as error:
                return _refuse(400, error.message, extensions=error.extensions)
            try:
                return await self(request)
            finally:
                if _USER in request:
                    self._services.sockets.remove(request[_USER])
        if request.method != "POST":
            return _refuse(405, "Send a POST request.", {"Allow": "POST"})
        if request.content_type != "application/json":
            return _refuse(415, "Send application/json.")
        try:
            # First of all: a request without a valid token learns nothing and costs nothing.
            call = self._call(request)
            call.identity = self._services.access.caller(request.headers.get("Authorization"))
            await self._services.access.user(call.identity)
            self._connections.is_needed(request.transport)
            self._check_is_served(call.scope)
            if (problem := bodies.excess(await _body(request))) is not None:
                raise LimitError(problem)
            await self._catch_up(request, call)
            # Until the objects of the answer are freed, no garbage collection has to visit them.
            with self._services.garbage.operation():
                response: web.StreamResponse = await self.run(request, context=call)
        except GatewayError as error:
            headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, NotAuthenticatedError) else {}
            return _refuse(_STATUS.get(type(error), 400), error.message, headers, error.extensions)
        except HTTPException as error:
            return _refuse(error.status_code, error.reason)
        except web.HTTPRequestTimeout as error:
            return _refuse(error.status, error.text or error.reason, {"Connection": "close"})
        stale = self._services.cache.stale_seconds()
        if stale:
            response.headers[STALE_HEADER] = f"{stale:.0f}"
        return response

    async def close(self) -> None:
        """Close all WebSockets."""
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway is shutting down")

    async def get_context(self, request: web.Request, response: web.Response | web.WebSocketResponse) -> Call:
        """Return the context of a WebSocket; the caller is known later, from its first message."""
        return self._call(request)

    async def on_ws_connect(self, context: Call) -> dict[str, object]:
        """Authenticate a WebSocket by the token in its first message, or in the header of its request."""
        params = context.connection_params or {}
        sent = {str(name).lower(): value for name, value in params.items() if isinstance(value, str)}
        header = sent.get("authorization") or context.request.headers.get("Authorization")
        try:
            context.scope = self._scope(context.request, sent)
            caller = self._services.access.caller(header)
            user = await self._services.access.user(caller)
            self._check_is_served(context.scope)
            await self._admit(context.request, user)
        except GatewayError as error:
            raise ConnectionRejectionError from error
        context.identity = caller
        return {}

    async def _admit(self, request: web.Request, user: str) -> None:
        """Admit a WebSocket unless its user has reached the limit, which covers all tokens of the user.

        Raises:
            LimitError: the limit is reached; the WebSocket was closed with 4429.
        """
        counted = self._services.sockets
        try:
            counted.add(user, self._services.limits.max_subscriptions)
        except TooManyError as error:
            words = f"You already have {error.most} WebSockets."
            await request[_SOCKET].close(code=_TOO_MANY, message=words.encode())
            raise LimitError(words) from error
        request[_USER] = user
        self._connections.is_needed(request.transport)

    async def create_websocket_response(self, request: web.Request, subprotocol: str | None) -> web.WebSocketResponse:
        """Accept a WebSocket; pings detect a client that has disappeared."""
        protocols = [subprotocol] if subprotocol else []
        socket = web.WebSocketResponse(protocols=protocols, heartbeat=PING_SECONDS, max_msg_size=MAX_MESSAGE)
        await socket.prepare(request)
        self._sockets.add(socket)
        request[_SOCKET] = socket
        return socket

    async def execute_single(
        self,
        request: web.Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: web.Response,
        context: Call,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        """Execute a query or mutation."""
        try:
            return await self.schema.execute(
                request_data.query,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=_OVER_HTTP,
            )
        except InvalidOperationTypeError as wrong:
            raise HTTPException(400, "Subscriptions need a WebSocket (graphql-transport-ws).") from wrong
        except CannotGetOperationTypeError as wrong:
            raise HTTPException(400, wrong.as_http_error_reason()) from wrong
        except MissingQueryError as wrong:
            raise HTTPException(400, "There is no query in the request.") from wrong

    async def execute_operation(
        self,
        request: web.Request,
        request_adapter: AsyncHTTPRequestAdapter,
        request_data: GraphQLRequestData | list[GraphQLRequestData],
        context: Call,
        root_value: None,
        sub_response: web.Response,
    ) -> ExecutionResult | list[ExecutionResult] | SubscriptionExecutionResult:
        """Execute an operation, or those of a batch one after the other, as Webiny does."""
        if not isinstance(request_data, list):
            return await super().execute_operation(
                request, request_adapter, request_data, context, root_value, sub_response
            )
        call = context.for_batch()

        async def execute(one: GraphQLRequestData) -> ExecutionResult:
            return await self.execute_single(request, request_adapter, sub_response, call, root_value, one)

        return [await batches.answer(call, one, execute) for one in request_data]

    async def process_result(self, request: web.Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """Return the encoded answer; those of a batch are encoded already."""
        if isinstance(result, batches.EncodedResult):
            return cast("GraphQLHTTPResponse", result.encoded)
        answer = await super().process_result(request, result)
        return cast("GraphQLHTTPResponse", await bodies.encode_in_turns(answer, self._services.turns.give))

    def parse_json(self, data: str | bytes) -> Any:
        """Decode the body of a request: an operation, or a batch of operations."""
        try:
            return bodies.decode_request(data, self._services.limits.max_batch)
        except json.JSONDecodeError as error:
            raise HTTPException(
                400, "The body must be a JSON object with a query, or a list of such objects."
            ) from error

    def decode_json(self, data: str | bytes) -> object:
        """Decode a message of a WebSocket."""
        return bodies.decode(data)

    def encode_json(self, data: object) -> str:
        """Encode a message for a WebSocket."""
        return encode(data).decode()

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: web.Response
    ) -> web.Response:
        """Return the answer; `process_result` has encoded it."""
        encoded = cast("list[bytes] | list[list[bytes]]", response_data)
        body = Pieces(batches.joined(encoded))
        sub_response.body = body if body.size > LARGE_BODY else b"".join(body.pieces)
        sub_response.content_type = "application/json"
        return sub_response

    def _check_is_served(self, scope: Scope) -> None:
        """Refuse a namespace that is not in the cache: it would appear to be empty.

        Raises:
            ValidationError: the namespace is not served.
        """
        served = self._options.served
        if served and scope.namespace is not None and scope.namespace not in served:
            raise ValidationError(
                f"This gateway does not serve the namespace {scope.namespace}, but {', '.join(sorted(served))}: "
                f"set the header {NAMESPACE_HEADER} to one of them.",
                "namespace",
            )

    async def _catch_up(self, request: web.Request, call: Call) -> None:
        """Update the cache with the caller's writes at another replica, as the header names them.

        Raises:
            GatewayError: the header is invalid, or the API server does not respond.
        """
        text = request.headers.get(READ_AFTER_HEADER)
        if not text:
            return
        served = self._options.served
        writes = [write for write in read_your_writes.parse(text) if not served or write.key.namespace in served]
        # The gateway reads with its own rights, so only tasks that the caller may read.
        readable = [write for write in writes if await _may_read(call, write.key)]
        await read_your_writes.catch_up(self._services.cache, self._services.access.own, readable)

    def _call(self, request: web.Request) -> Call:
        return Call(self._services, self._scope(request, {}), request)

    def _scope(self, request: web.Request, sent: Mapping[str, str]) -> Scope:
        """Return the namespace that a request is for.

        Args:
            request: the request, with its path and headers.
            sent: values that replace headers, by lower-case name: from the first message of a WebSocket client.

        Raises:
            ValidationError: the namespace is invalid or ambiguous, or other rights than the token's are requested.
        """
        if ASSUME_HEADER in request.headers:
            raise ValidationError(
                f"{ASSUME_HEADER} is not supported: remove it, and send a token that has those rights.", "headers"
            )
        named = [(PATH, request.match_info.get("namespace", ""))]
        for header in (NAMESPACE_HEADER, TENANT_HEADER):
            values = [sent[header.lower()]] if header.lower() in sent else request.headers.getall(header, [])
            named += [(header, value) for value in values]
        return scope_of(named, self._options.namespace)


def application(
    schema: BaseSchema,
    services: Services,
    options: ServerOptions,
    is_ready: Callable[[], bool],
    pages: Iterable[web.RouteDef] = (),
    open_connections: Connections | None = None,
) -> web.Application:
    """Return the whole server: /graphql, /graphql/NAMESPACE, /healthz, /readyz, and further pages."""
    open_connections = open_connections or Connections(DEFAULT_CONNECTIONS)
    view = View(schema, services, options, open_connections)

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n") if is_ready() else web.Response(status=503, text="caches are filling\n")

    async def graphql(request: web.Request) -> web.StreamResponse:
        if not is_ready():
            return _refuse(503, "The gateway is starting: its caches are filling.", {"Retry-After": "2"})
        return await view.handle(request)

    async def end(_: web.Application) -> None:
        await view.close()

    async def clean_up(_: web.Application) -> None:
        services.offloop.close()

    app = web.Application(
        client_max_size=MAX_BODY,
        middlewares=[
            _accounted(open_connections),
            requests,
            _secure(options),
            _guard,
            cors(frozenset(options.origins)),
            _loopback(options),
        ],
    )
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), *pages])
    for path in ("/graphql", "/graphql/{namespace}"):
        app.router.add_route("*", path, graphql)
    app.on_shutdown.append(end)
    app.on_cleanup.append(clean_up)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a response that does not reveal internal details."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _refuse(error.status, error.reason)
    except web.RequestPayloadError:
        refused = _refuse(400, "The body cannot be read: it does not match its Content-Encoding or Content-Length.")
        refused.force_close()
        return refused
    except ConnectionError:
        return _refuse(499, "The caller has disconnected.")  # only counted, never received
    except Exception as error:  # noqa: BLE001 - the last resort
        internal = masked(error)
        return _refuse(500, internal.message, extensions=internal.extensions)


def _accounted(open_connections: Connections) -> Any:
    """Note on the connection of each request when its handling begins and when it was answered."""

    @web.middleware
    async def accounted(request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        open_connections.header_has_come(transport)
        try:
            return await handler(request)
        finally:
            open_connections.is_done(transport)

    return accounted


def _secure(options: ServerOptions) -> Any:
    """Set headers that forbid clients to store an answer, to guess its type, and, with TLS, to connect without it."""

    @web.middleware
    async def secure(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not response.prepared:
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers["X-Content-Type-Options"] = "nosniff"
            if options.is_tls:
                response.headers["Strict-Transport-Security"] = HSTS
        return response

    return secure


async def _may_read(call: Call, key: Key) -> bool:
    try:
        await call.may("get", names.TASK_RUNS, key)
    except NotAuthorizedError:
        return False
    return True


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(connections.BODY_SECONDS):
            return await request.read()
    except TimeoutError as error:
        words = f"The body did not arrive within {connections.BODY_SECONDS:g} s."
        raise web.HTTPRequestTimeout(text=words) from error


def _loopback(options: ServerOptions) -> Any:
    """Without tokens, refuse web pages in a browser on this machine, also if their host name resolves to loopback."""

    @web.middleware
    async def loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        hosts = [_host(f"//{request.headers.get('Host', '')}")]
        hosts += [_host(origin)] if origin is not None else []
        if options.loopback_only and not LOOPBACK.issuperset(hosts):
            return _refuse(403, "With --auth=none the gateway serves requests from this machine only.")
        return await handler(request)

    return loopback


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _refuse(
    status: int, message: str, headers: Mapping[str, str] | None = None, extensions: Mapping[str, Any] | None = None
) -> web.Response:
    error = {"message": message} | ({"extensions": dict(extensions)} if extensions else {})
    body = orjson.dumps({"data": None, "errors": [error]})
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)
