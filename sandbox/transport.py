"""Answer API calls: key, version, form, idempotency, faults, route; errors and headers as Stripe's.

Handlers are plain functions that never wait, so every call is atomic. All waiting (a fault's delay,
reading a body) happens here, before or after them.
"""

import asyncio
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from sandbox.cards import card_numbers
from sandbox.objects import accounts
from sandbox.wire import authentication, expand, forms, params, unplayed, versions
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, rate_limits
from sandbox.world.errors import StripeError
from sandbox.world.faults import Fault
from sandbox.world.idempotency import StoredAnswer, check_key, fingerprint
from sandbox.world.objects import Json, indented
from sandbox.world.world import PLATFORM, Cause, Forgotten, World

log = logging.getLogger(__name__)

FORM: Final = "application/x-www-form-urlencoded"
HANG_SECONDS: Final = 120.0
"""Seconds for which a call hangs by a `timeout` fault; longer than any client waits."""
OBJECT_ID: Final = re.compile(r"(?<=/)[a-z]+_[A-Za-z0-9_]*[A-Z0-9][A-Za-z0-9_]*")
"""Distinguishes an id from a word of the path, to count calls by route."""
EFFECTIVE: Final = (200, 402)
"""Statuses of calls that changed something; a decline creates a failed charge."""
EXPAND: Final = params.list_of(params.text())


@dataclass
class Exchange:
    """One API call, from the request to the answer."""

    request: web.Request
    request_id: str
    version: str = versions.ACCOUNT_DEFAULT
    account: str = PLATFORM
    key: str | None = None
    tree: Json = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """Return the HTTP method."""
        return self.request.method

    @property
    def path(self) -> str:
        """Return the path without the query."""
        return self.request.path

    @property
    def keeps_answers(self) -> bool:
        """Say whether the call's idempotency key counts: Stripe ignores it except on POST."""
        return self.key is not None and self.method == "POST"


class Transport:
    """Serve the routes of the API over one world."""

    def __init__(self, world: World, routes: tuple[Route, ...]) -> None:
        self._world = world
        self._routes = routes

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one API call."""
        exchange = Exchange(request, ids.new_id("request"))
        key = authentication.key_of(request.headers.get("Authorization", ""))
        fault = self._world.faults.take(request.method, request.path, key)
        try:
            await _read(exchange, self._world)
            self._check_rights(exchange, key)
            self._limit(exchange)
            status, body = await self._serve(exchange, fault)
        except StripeError as refusal:
            status, body = refusal.status, {"error": refusal.error}
        except Forgotten as gone:
            too_old = errors.impossible(f"{gone}: see SANDBOX_KEEP.")
            status, body = too_old.status, {"error": too_old.error}
        except Exception:
            log.exception("%s %s failed inside the sandbox", request.method, request.path)
            failure = errors.api_error("The sandbox itself failed; its log says why.")
            status, body = failure.status, {"error": failure.error}
        log.info("%s %s %s %s", request.method, request.path, status, exchange.request_id)
        return _answer(exchange, status, body)

    def _check_rights(self, exchange: Exchange, key: str) -> None:
        """Refuse a call that a restricted key may not make, before its parameters are read."""
        expand = exchange.tree.get("expand") or []
        places = [str(place) for place in (expand if isinstance(expand, list) else [expand])]
        self._world.key_rights.check(key, exchange.account, exchange.method, exchange.path, places)

    def _limit(self, exchange: Exchange) -> None:
        """Refuse a call above the rate limits before it has any effect."""
        reason = self._world.rate_limits.take(exchange.account, _endpoint(exchange))
        if reason is not None:
            exchange.headers["Stripe-Rate-Limited-Reason"] = reason
            raise rate_limits.rate_limit_error()

    async def _serve(self, exchange: Exchange, fault: Fault | None) -> tuple[int, Json]:
        if not exchange.keeps_answers:
            return await self._act(exchange, fault)
        key, memory = str(exchange.key), self._world.memory
        print_ = fingerprint(exchange.method, exchange.path, exchange.tree)
        earlier = memory.begin(exchange.account, key, print_, self._world.clock.now())
        if earlier is not None:
            exchange.headers["Idempotent-Replayed"] = "true"
            exchange.headers["Original-Request"] = earlier.request_id
            return earlier.status, earlier.body
        try:
            return await self._act(exchange, fault)
        finally:
            memory.end(exchange.account, key)

    async def _act(self, exchange: Exchange, fault: Fault | None) -> tuple[int, Json]:
        if fault is not None and fault.phase != "after":
            await self._break(exchange, fault)
        status, body = self._execute(exchange)
        if fault is not None and fault.phase == "after":
            await self._break(exchange, fault, acted=status in EFFECTIVE)
        return status, body

    async def _break(self, exchange: Exchange, fault: Fault, *, acted: bool = True) -> None:
        """Apply a fault to a call; an error of its endpoint is stored for the key, like an answer.

        A call that was refused had no effect: its key keeps the refusal.
        """
        try:
            await _disturb(exchange, fault)
        except StripeError as failure:
            if failure.executed and acted:
                self._keep(exchange, failure.status, {"error": failure.error})
                self._world.on_change()
            raise

    def _execute(self, exchange: Exchange) -> tuple[int, Json]:
        """Run the handler; store its answer for the key if it began to act."""
        executed = True
        try:
            route, path_ids = self._route(exchange)
            status, body = 200, self._call(exchange, route, path_ids)
        except StripeError as refusal:
            executed = refusal.executed
            status, body = refusal.status, self._in_version(exchange, {"error": refusal.error})
        if exchange.method != "GET":
            self._world.on_change()
        if executed:
            self._count(exchange, status)
            self._keep(exchange, status, body)
        return status, body

    def _count(self, exchange: Exchange, status: int) -> None:
        if exchange.method != "GET" and status in EFFECTIVE:
            self._world.count(_endpoint(exchange))

    def _keep(self, exchange: Exchange, status: int, body: Json) -> None:
        if exchange.keeps_answers:
            print_ = fingerprint(exchange.method, exchange.path, exchange.tree)
            now = self._world.clock.now()
            answer = StoredAnswer(print_, status, json.dumps(body), exchange.request_id, now)
            self._world.memory.keep(exchange.account, str(exchange.key), answer)

    def _route(self, exchange: Exchange) -> tuple[Route, tuple[str, ...]]:
        for route in self._routes:
            path_ids = route.match(exchange.method, exchange.path)
            if path_ids is not None:
                return route, path_ids
        if unplayed.is_stripes(exchange.path):
            raise errors.route_not_simulated(exchange.method, exchange.path)
        raise errors.unknown_url(exchange.method, exchange.path)

    def _call(self, exchange: Exchange, route: Route, path_ids: tuple[str, ...]) -> Json:
        cause = Cause(exchange.request_id, exchange.key if exchange.keeps_answers else None)
        scope = self._world.scope(exchange.account, cause)
        inputs = params.parse({**route.spec, "expand": EXPAND}, exchange.tree)
        paths = inputs.pop("expand", [])
        call = Call(scope, exchange.version, exchange.path, inputs, path_ids)
        answer = route.handler(call)
        return self._in_version(exchange, expand.expanded(scope, answer, paths))

    def _in_version(self, exchange: Exchange, body: Json) -> Json:
        form: Json = versions.in_version(body, exchange.version)
        return form


def _endpoint(exchange: Exchange) -> str:
    """Return the method and the path without its ids."""
    return f"{exchange.method} {OBJECT_ID.sub('{id}', exchange.path)}"


async def _read(exchange: Exchange, world: World) -> None:
    """Fill the exchange from the request. Raises for a bad key, version, account or body."""
    headers = exchange.request.headers
    authentication.check(headers.get("Authorization"))
    exchange.version = versions.effective(headers.get("Stripe-Version"))
    asked_for = headers.get("Stripe-Account") or headers.get("Stripe-Context")
    exchange.account = accounts.connect(world, asked_for)
    exchange.tree = await _tree(exchange.request)
    card_numbers.conceal(exchange.tree)
    key = headers.get("Idempotency-Key")
    if key is not None and exchange.method == "POST":
        check_key(key)
        exchange.key = key
        exchange.headers["Idempotency-Key"] = key


async def _tree(request: web.Request) -> Json:
    if request.method in ("GET", "DELETE"):
        return forms.decode(request.query_string)
    text = await request.text()
    if not text:
        return {}
    if request.path.startswith("/v2/"):
        return _json_tree(text)
    if request.content_type != FORM:
        message = (
            "Invalid request (check that your POST content type is "
            f"{FORM}). If you have any questions, we can help at https://support.stripe.com/."
        )
        raise errors.invalid(message)
    return forms.decode(text)


def _json_tree(text: str) -> Json:
    try:
        tree: Any = json.loads(text)
    except ValueError:
        raise errors.invalid("The request body is not valid JSON.") from None
    if not isinstance(tree, dict):
        raise errors.invalid("The request body must be a JSON object.")
    return tree


async def _disturb(exchange: Exchange, fault: Fault) -> None:
    """Delay, hang, cut or fail a call as a fault says. Raises the error if it is one."""
    if fault.delay_seconds and fault.kind != "timeout":
        await asyncio.sleep(fault.delay_seconds)
    if fault.kind == "error":
        exchange.headers.update(fault.headers())
        raise fault.error()
    if fault.kind == "timeout":
        await asyncio.sleep(fault.delay_seconds or HANG_SECONDS)
    if fault.kind in ("timeout", "disconnect"):
        if exchange.request.transport is not None:
            exchange.request.transport.abort()
        raise errors.api_error("The fault has cut the connection.")


def _answer(exchange: Exchange, status: int, body: Json) -> web.Response:
    exchange.headers["Request-Id"] = exchange.request_id
    exchange.headers["Stripe-Version"] = exchange.version
    return web.json_response(
        text=indented(body),
        status=status,
        headers=exchange.headers,
    )
