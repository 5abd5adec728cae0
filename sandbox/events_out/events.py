"""Record events: immutable, published to webhooks, kept for 30 days.

`emit` is the only way to publish a change. It freezes the object, records the event, publishes it,
and then runs the sandbox's own reactions (a charge on a disputing card opens its dispute, a paid
intent completes its checkout session).
"""

import fnmatch
from itertools import takewhile
from typing import Final

from sandbox.events_out import deliveries, health
from sandbox.events_out.deliveries import is_older
from sandbox.wire import lists, params, versions
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.objects import Json, copy_of, previous_attributes
from sandbox.world.world import PLATFORM, REACTIONS, Scope

RETENTION_SECONDS: Final = 30 * 24 * 3600
"""Stripe lets events be retrieved for 30 days."""


def emit(scope: Scope, event_type: str, subject: Json, before: Json | None = None) -> Json:
    """Record and publish an event about an object; `before` adds `previous_attributes`."""
    event = _record(scope, event_type, subject, before)
    loss = next((one for one in scope.world.mail.losses if one.applies_to(event_type)), None)
    if loss is not None:
        health.lose(scope, event, loss.delay_seconds)
    else:
        scope.put("event", event)
        deliveries.publish(scope, event)
    for reaction in REACTIONS.get(event_type, ()):
        reaction(scope, subject)
    return event


def emit_to_older(scope: Scope, event_type: str, subject: Json, before: Json) -> None:
    """Publish to endpoints with a version before basil only: later ones have no such event."""
    endpoints = [
        endpoint
        for account in scope.world.accounts.values()
        for endpoint in account.table("webhook_endpoint").values()
    ]
    if any(is_older(endpoint["api_version"]) for endpoint in endpoints):
        event = _record(scope, event_type, subject, before)
        scope.put("event", event)
        scope.note(event["id"])["for_older"] = True
        deliveries.publish(scope, event)


def _record(scope: Scope, event_type: str, subject: Json, before: Json | None) -> Json:
    data: Json = {"object": copy_of(subject)}
    if before is not None:
        data["previous_attributes"] = previous_attributes(before, subject)
    event: Json = {
        "id": ids.new_id("event"),
        "object": "event",
        "api_version": versions.ACCOUNT_DEFAULT,
        "created": scope.now,
        "data": data,
        "livemode": False,
        "pending_webhooks": 0,
        "request": {
            "id": scope.cause.request_id,
            "idempotency_key": scope.cause.idempotency_key,
        },
        "type": event_type,
    }
    if scope.account.id != PLATFORM:
        event["account"] = scope.account.id
    return event


def forget_old(scope: Scope) -> None:
    """Drop the events that are older than Stripe's retention."""
    table = scope.account.table("event")
    horizon = scope.now - RETENTION_SECONDS
    for event in list(takewhile(lambda event: event["created"] <= horizon, table.values())):
        scope.account.remove("event", event["id"])


def find(scope: Scope, event_id: str) -> Json:
    """Return an event, or raise Stripe's 404."""
    forget_old(scope)
    event = scope.find("event", event_id)
    if event is None:
        raise errors.missing("event", event_id, "id")
    return event


def _retrieve(call: Call) -> Json:
    return find(call.scope, call.ids[0])


def _list(call: Call) -> Json:
    forget_old(call.scope)
    if "type" in call.params and "types" in call.params:
        raise errors.invalid("You may only specify one of these parameters: type, types.", "types")
    return lists.page(call, "event", lambda event: _matches(call, event))


def _matches(call: Call, event: Json) -> bool:
    inputs = call.params
    for_older = call.scope.account.notes.get(event["id"], {}).get("for_older", False)
    if for_older and not versions.is_before_basil(call.version):
        return False
    if "type" in inputs and not fnmatch.fnmatchcase(event["type"], inputs["type"]):
        return False
    if "types" in inputs and event["type"] not in inputs["types"]:
        return False
    if "delivery_success" in inputs:
        return bool(inputs["delivery_success"] == (event["pending_webhooks"] == 0))
    return True


def _retry(call: Call) -> Json:
    """Send an event again: to one endpoint, to all, or (CLI) to the listening sessions."""
    event = find(call.scope, call.ids[0])
    if call.params.get("for_stripecli"):
        deliveries.publish_to_sinks(call.scope.world, event)
        return event
    endpoint_id = call.params.get("webhook_endpoint")
    if endpoint_id and call.scope.find("webhook_endpoint", endpoint_id) is None:
        raise errors.missing("webhook endpoint", endpoint_id, "webhook_endpoint")
    deliveries.send_again(call.scope, event, endpoint_id)
    return event


ROUTES: Final = (
    Route(
        "GET",
        "/v1/events",
        _list,
        lists.params(
            type=params.text(),
            types=params.list_of(params.text()),
            delivery_success=params.boolean(),
        ),
    ),
    Route("GET", "/v1/events/{id}", _retrieve),
    Route(
        "POST",
        "/v1/events/{id}/retry",
        _retry,
        {
            "for_stripecli": params.boolean(),
            "webhook_endpoint": params.text(),
            "account": params.text(),
        },
    ),
)
