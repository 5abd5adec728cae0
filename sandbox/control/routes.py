"""Serve `/_sandbox/`: control of the sandbox by a test or a person, beside Stripe's API.

JSON in and out; README and `docs/` list the routes. Errors have the format of Stripe's.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web

from sandbox.control import banking, books, state
from sandbox.control.asking import choice, fields_of, only, scope_of
from sandbox.events_out import deliveries, webhook_endpoints
from sandbox.intents import challenges
from sandbox.wire.guard import is_simple, refusal
from sandbox.world import errors, key_rights, rate_limits
from sandbox.world.app_keys import WORLD
from sandbox.world.delivery_modes import MODES, DeliveryMode
from sandbox.world.errors import StripeError
from sandbox.world.event_losses import EventLoss
from sandbox.world.faults import KINDS, PHASES, Fault
from sandbox.world.objects import Json
from sandbox.world.world import World

Control = Callable[[World, Json, str], Json]
Handler = Callable[[web.Request], Awaitable[web.Response]]

MAX_ADVANCE_SECONDS: Final = 366 * 24 * 3600
"""Seconds. A year; a larger number has probably the wrong unit."""


def routes(app: web.Application) -> None:
    """Add the control routes to the application."""
    for method, path, action in _ROUTES:
        app.router.add_route(method, "/_sandbox" + path, _handler(action))


def _handler(action: Control) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        if is_simple(request):
            return refusal(415, "Send application/json.")
        try:
            body = await _body(request)
            answer = action(request.app[WORLD], body, request.match_info.get("id", ""))
            if request.method != "GET":
                request.app[WORLD].on_change()
        except StripeError as error:
            return web.json_response({"error": error.error}, status=error.status)
        return web.json_response(answer)

    return handle


async def _body(request: web.Request) -> Json:
    text = await request.text()
    if not text:
        return {}
    try:
        body: Any = json.loads(text)
    except ValueError:
        raise errors.invalid("The body must be JSON.") from None
    if not isinstance(body, dict):
        raise errors.invalid("The body must be a JSON object.")
    return body


def _add_fault(world: World, body: Json, _: str) -> Json:
    match = body.pop("match", {})
    if not isinstance(match, dict):
        raise errors.invalid("match must be an object", "match")
    choice(body, "kind", KINDS)
    choice({"phase": "before"} | body, "phase", PHASES)
    fault = Fault(**fields_of(match | body, Fault))
    world.faults.active.append(fault)
    return {"id": fault.id, "faults": world.faults.as_json()}


def _faults(world: World, _: Json, __: str) -> Json:
    return {"faults": world.faults.as_json()}


def _no_faults(world: World, _: Json, __: str) -> Json:
    world.faults.active.clear()
    return {"faults": []}


def _limits(world: World, _: Json, __: str) -> Json:
    return world.rate_limits.as_json()


def _limit(world: World, body: Json, _: str) -> Json:
    world.rate_limits.limit(rate_limits.parse(body))
    return world.rate_limits.as_json()


def _no_limits(world: World, _: Json, __: str) -> Json:
    world.rate_limits.limit(rate_limits.Limits())
    return world.rate_limits.as_json()


def _keys(world: World, _: Json, __: str) -> Json:
    return world.key_rights.as_json()


def _restrict(world: World, body: Json, _: str) -> Json:
    key, rights = key_rights.parse(only(body, "api_key", "rights"))
    world.key_rights.of[key] = rights
    return world.key_rights.as_json()


def _no_keys(world: World, _: Json, __: str) -> Json:
    world.key_rights.of.clear()
    return world.key_rights.as_json()


def _add_mode(world: World, body: Json, _: str) -> Json:
    choice(body, "mode", (*MODES, "normal"))
    if body["mode"] == "normal":
        world.mail.modes.active.clear()
    else:
        world.mail.modes.add(DeliveryMode(**fields_of(body, DeliveryMode)))
    return {"modes": world.mail.modes.as_json()}


def _deliveries(world: World, _: Json, __: str) -> Json:
    mail = world.mail
    return {"modes": mail.modes.as_json(), "data": list(mail.deliveries.values())}


def _normal_delivery(world: World, _: Json, __: str) -> Json:
    world.mail.modes.active.clear()
    return {"modes": []}


def _rotate(world: World, body: Json, endpoint_id: str) -> Json:
    scope = scope_of(world, "webhook_endpoint", endpoint_id)
    endpoint = scope.get("webhook_endpoint", endpoint_id)
    secret = webhook_endpoints.rotate(scope, endpoint, body.get("secret"))
    return {"id": endpoint_id, "secret": secret}


def _clock(world: World, _: Json, __: str) -> Json:
    return {"now": world.clock.now(), "offset_seconds": world.clock.offset_seconds}


def _advance(world: World, body: Json, _: str) -> Json:
    seconds = body.get("advance_seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_ADVANCE_SECONDS:
        message = f"advance_seconds must be a number from 0 to {MAX_ADVANCE_SECONDS}"
        raise errors.invalid(message, "advance_seconds")
    world.advance(seconds)
    return _clock(world, {}, "")


def _reset(world: World, _: Json, __: str) -> Json:
    state.clear(world)
    return {"reset": True}


def _books(world: World, _: Json, __: str) -> Json:
    return books.whole_truth(world)


def _authenticate(world: World, body: Json, intent_id: str) -> Json:
    outcome = choice(body, "outcome", tuple(challenges.OUTCOMES))
    intent = challenges.answer(world, intent_id, outcome)
    return {"payment_intent": intent, "return_to": challenges.return_address(world, intent)}


def _lose_events(world: World, body: Json, _: str) -> Json:
    """Lose the next events of some types; a health event reports each of them later."""
    only(body, "types", "count", "delay_seconds")
    loss = EventLoss(**body)
    world.mail.losses.append(loss)
    return asdict(loss)


def _resend(world: World, body: Json, event_id: str) -> Json:
    scope = scope_of(world, "event", event_id)
    event = scope.get("event", event_id)
    deliveries.send_again(scope, event, body.get("webhook_endpoint"))
    return event


_ROUTES: Final[tuple[tuple[str, str, Control], ...]] = (
    ("POST", "/faults", _add_fault),
    ("GET", "/faults", _faults),
    ("DELETE", "/faults", _no_faults),
    ("POST", "/rate_limits", _limit),
    ("GET", "/rate_limits", _limits),
    ("DELETE", "/rate_limits", _no_limits),
    ("POST", "/keys", _restrict),
    ("GET", "/keys", _keys),
    ("DELETE", "/keys", _no_keys),
    ("POST", "/deliveries", _add_mode),
    ("GET", "/deliveries", _deliveries),
    ("DELETE", "/deliveries", _normal_delivery),
    ("POST", "/webhook_endpoints/{id}/rotate", _rotate),
    ("GET", "/clock", _clock),
    ("POST", "/clock", _advance),
    ("POST", "/reset", _reset),
    ("GET", "/books", _books),
    ("POST", "/disputes", banking.open_dispute),
    ("POST", "/early_fraud_warnings", banking.warn_of_fraud),
    ("POST", "/reviews", banking.open_review),
    ("POST", "/reviews/{id}/close", banking.close_review),
    ("POST", "/refunds/{id}/fail", banking.fail_refund),
    ("POST", "/balance", banking.set_balance),
    ("POST", "/event_generation_failures", _lose_events),
    ("POST", "/payment_intents/{id}/authenticate", _authenticate),
    ("POST", "/events/{id}/resend", _resend),
)
