"""Serve `/_sandbox/`: what a test or a person does to the sandbox, not through Stripe's API.

JSON in and out; README and `docs/` list the routes. A refusal has Stripe's error shape.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any, Final

from aiohttp import web

from sandbox.cards.test_data import DisputeKind
from sandbox.control import books, state
from sandbox.events_out import deliveries, webhook_endpoints
from sandbox.intents import challenges
from sandbox.objects import disputes, refunds
from sandbox.wire.guard import is_simple, refusal
from sandbox.world import errors, rate_limits
from sandbox.world.app_keys import WORLD
from sandbox.world.delivery_modes import MODES, DeliveryMode
from sandbox.world.errors import StripeError
from sandbox.world.faults import KINDS, PHASES, Fault
from sandbox.world.objects import Json
from sandbox.world.world import Scope, World

Control = Callable[[World, Json, str], Json]
Handler = Callable[[web.Request], Awaitable[web.Response]]

MAX_ADVANCE_SECONDS: Final = 366 * 24 * 3600
"""A year: beyond it somebody mistook the unit."""


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


def _choice(body: Json, name: str, choices: tuple[str, ...]) -> str:
    value = body.get(name)
    if value not in choices:
        raise errors.invalid(f"{name} must be one of {', '.join(choices)}", name)
    return str(value)


def _scope_of(world: World, kind: str, object_id: str) -> Scope:
    account = world.owner_of(kind, object_id)
    if account is None:
        raise errors.missing(kind, object_id, "id")
    return world.scope(account.id)


def _known(body: Json, kind: type) -> Json:
    """Return the body if it names only fields of the class."""
    names = {field.name for field in fields(kind)} - {"id", "hits", "used"}
    for name in body:
        if name not in names:
            message = f"Unknown field {name}; there are {', '.join(sorted(names))}"
            raise errors.invalid(message, name)
    return body


def _add_fault(world: World, body: Json, _: str) -> Json:
    match = body.pop("match", {})
    if not isinstance(match, dict):
        raise errors.invalid("match must be an object", "match")
    _choice(body, "kind", KINDS)
    _choice({"phase": "before"} | body, "phase", PHASES)
    fault = Fault(**_known(match | body, Fault))
    world.faults.active.append(fault)
    return {"id": fault.id, "faults": world.faults.listed()}


def _faults(world: World, _: Json, __: str) -> Json:
    return {"faults": world.faults.listed()}


def _no_faults(world: World, _: Json, __: str) -> Json:
    world.faults.active.clear()
    return {"faults": []}


def _limits(world: World, _: Json, __: str) -> Json:
    return world.rate_limits.listed()


def _limit(world: World, body: Json, _: str) -> Json:
    world.rate_limits.limit(rate_limits.parse(body))
    return world.rate_limits.listed()


def _no_limits(world: World, _: Json, __: str) -> Json:
    world.rate_limits.limit(rate_limits.Limits())
    return world.rate_limits.listed()


def _add_mode(world: World, body: Json, _: str) -> Json:
    _choice(body, "mode", (*MODES, "normal"))
    if body["mode"] == "normal":
        world.mail.modes.active.clear()
    else:
        world.mail.modes.add(DeliveryMode(**_known(body, DeliveryMode)))
    return {"modes": world.mail.modes.listed()}


def _deliveries(world: World, _: Json, __: str) -> Json:
    mail = world.mail
    return {"modes": mail.modes.listed(), "data": list(mail.deliveries.values())}


def _normal_delivery(world: World, _: Json, __: str) -> Json:
    world.mail.modes.active.clear()
    return {"modes": []}


def _rotate(world: World, body: Json, endpoint_id: str) -> Json:
    scope = _scope_of(world, "webhook_endpoint", endpoint_id)
    endpoint = scope.get("webhook_endpoint", endpoint_id)
    secret = webhook_endpoints.rotate(scope, endpoint, body.get("secret"))
    world.on_change()
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
    world.on_change()
    return {"reset": True}


def _books(world: World, _: Json, __: str) -> Json:
    return books.whole_truth(world)


def _fail_refund(world: World, body: Json, refund_id: str) -> Json:
    scope = _scope_of(world, "refund", refund_id)
    refund = scope.get("refund", refund_id)
    if refund["status"] not in ("succeeded", "pending"):
        raise errors.impossible(f"This refund has a status of {refund['status']}.")
    refunds.fail(scope, refund, body.get("reason", "expired_or_canceled_card"))
    world.on_change()
    return refund


def _dispute(world: World, body: Json, _: str) -> Json:
    kinds = tuple(kind.value for kind in DisputeKind if kind is not DisputeKind.FRAUD_WARNING)
    kind = DisputeKind(_choice({"kind": "chargeback"} | body, "kind", kinds))
    charge_id = body.get("charge")
    if charge_id is None:
        intent_id = str(body.get("payment_intent"))
        scope = _scope_of(world, "payment_intent", intent_id)
        charge_id = scope.get("payment_intent", intent_id)["latest_charge"]
    scope = _scope_of(world, "charge", str(charge_id))
    charge = scope.get("charge", charge_id)
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise errors.impossible("Only a charge that succeeded and was captured can be disputed.")
    given: Json = {name: body[name] for name in ("amount", "reason") if name in body}
    _check_dispute(charge, given)
    dispute = disputes.open_dispute(scope, charge, kind, given)
    world.on_change()
    return dispute


def _check_dispute(charge: Json, given: Json) -> None:
    reasons = (*disputes.REASON_CODES, "general")
    _choice({"reason": "general"} | given, "reason", reasons)
    amount = given.get("amount", charge["amount_captured"])
    if not isinstance(amount, int) or not 0 < amount <= charge["amount_captured"]:
        raise errors.invalid("amount must be from 1 to what was captured", "amount")


def _authenticate(world: World, body: Json, intent_id: str) -> Json:
    outcome = _choice(body, "outcome", tuple(challenges.OUTCOMES))
    intent = challenges.answer(world, intent_id, outcome)
    return {"payment_intent": intent, "return_to": challenges.return_address(world, intent)}


def _resend(world: World, body: Json, event_id: str) -> Json:
    scope = _scope_of(world, "event", event_id)
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
    ("POST", "/deliveries", _add_mode),
    ("GET", "/deliveries", _deliveries),
    ("DELETE", "/deliveries", _normal_delivery),
    ("POST", "/webhook_endpoints/{id}/rotate", _rotate),
    ("GET", "/clock", _clock),
    ("POST", "/clock", _advance),
    ("POST", "/reset", _reset),
    ("GET", "/books", _books),
    ("POST", "/disputes", _dispute),
    ("POST", "/refunds/{id}/fail", _fail_refund),
    ("POST", "/payment_intents/{id}/authenticate", _authenticate),
    ("POST", "/events/{id}/resend", _resend),
)
