"""Create deliveries of events to webhook endpoints, and decide what follows from each attempt.

Publishing only stores delivery records and schedules jobs in sandbox time. A failed attempt
schedules the next one, so that advancing the clock makes it due. `postman` sends the requests.
"""

import logging
from typing import Any, Final

from sandbox.events_out import event_forms, neighbourhood
from sandbox.events_out.webhook_endpoints import listens_to
from sandbox.wire import versions
from sandbox.world import ids
from sandbox.world.objects import Json, indented
from sandbox.world.world import Account, Scope, World, job

log = logging.getLogger(__name__)

RETRY_DELAYS_SECONDS: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0)
"""Seconds between attempts. Stripe's begin with minutes, ours with a second, so that a developer
can watch the next attempt after a 503."""


def publish(scope: Scope, event: Json) -> None:
    """Deliver a new event to every endpoint that subscribes to it and to the listening sessions."""
    for_older = scope.account.notes.get(event["id"], {}).get("for_older", False)
    receivers = [
        (owner, endpoint)
        for owner in scope.world.accounts.values()
        for endpoint in owner.table("webhook_endpoint").values()
        if listens_to(owner, endpoint, scope.account, event["type"])
        and (not for_older or is_older(endpoint["api_version"]))
    ]
    event["pending_webhooks"] = len(receivers)
    for owner, endpoint in receivers:
        _post(scope, owner, endpoint, event)
    if not for_older:
        publish_to_sinks(scope.world, event)


def publish_thin(scope: Scope, notice: Json) -> None:
    """Deliver an event that exists only as a thin one to its destinations and sessions."""
    account = scope.account
    for endpoint in account.table("webhook_endpoint").values():
        thin = account.note(endpoint["id"]).get("thin", False)
        if thin and listens_to(account, endpoint, account, notice["type"]):
            _post(scope, account, endpoint, notice)
    for sink in scope.world.mail.sinks:
        if sink.thin:
            sink.put(event_forms.thin(notice))


def is_older(version: str | None) -> bool:
    """Tell whether an endpoint's version is older than basil."""
    return version is not None and versions.is_before_basil(version)


def publish_to_sinks(world: World, event: Json) -> None:
    """Deliver an event to the listening sessions only."""
    for sink in world.mail.sinks:
        sink.put(event_forms.thin(event) if sink.thin else event)


def send_again(scope: Scope, event: Json, endpoint_id: str | None = None) -> None:
    """Deliver an event once more, to one endpoint or to all subscribers."""
    account = scope.account
    for endpoint in account.table("webhook_endpoint").values():
        is_named = endpoint["id"] == endpoint_id
        listens = endpoint_id is None and listens_to(account, endpoint, account, event["type"])
        if is_named or listens:
            _schedule(scope.world, _record(scope, account, endpoint, event), 0.0)


def resume(world: World) -> None:
    """Restart the attempts that were in progress when the state was saved."""
    for record in world.mail.deliveries.values():
        if record["state"] == "pending" and record["next_attempt_at"] is None:
            _schedule(world, record, 0.0)


def conclude(world: World, record: Json, outcome: Json) -> None:
    """Store the outcome of an attempt: delivered, to be retried, or failed for good."""
    record["attempts"].append(outcome)
    attempts = len(record["attempts"])
    log.info(
        "webhook %s %s to %s: %s",
        record["type"],
        record["event"],
        record["url"],
        outcome["status"] or outcome["error"],
    )
    if outcome["status"] is not None and outcome["status"] // 100 == 2:  # noqa: PLR2004 any 2xx
        _end(world, record, "delivered")
        _acknowledge(world, record)
    elif outcome["error"] == neighbourhood.REFUSAL or attempts > len(RETRY_DELAYS_SECONDS):
        _end(world, record, "failed")
    else:
        _schedule(world, record, RETRY_DELAYS_SECONDS[attempts - 1])
    world.on_change()


def _post(scope: Scope, owner: Account, endpoint: Json, event: Json) -> None:
    delays = scope.world.mail.modes.delays_for(event["type"])
    if not delays:
        record = _record(scope, owner, endpoint, event)
        _end(scope.world, record, "dropped")
    for delay in delays:
        _schedule(scope.world, _record(scope, owner, endpoint, event), delay)


def _record(scope: Scope, owner: Account, endpoint: Json, event: Json) -> Json:
    rendered = (
        event_forms.thin(event)
        if owner.note(endpoint["id"]).get("thin")
        else event_forms.in_version(event, endpoint["api_version"] or event["api_version"])
    )
    record: Json = {
        "id": ids.new_id("delivery"),
        "event": event["id"],
        "type": event["type"],
        "account": scope.account.id,
        "endpoint": endpoint["id"],
        "endpoint_account": owner.id,
        "url": endpoint["url"],
        "payload": indented(rendered),
        "created": scope.now,
        "state": "pending",
        "attempts": [],
        "next_attempt_at": None,
    }
    scope.world.mail.keep(record)
    return record


def _schedule(world: World, record: Json, delay_seconds: float) -> None:
    record["next_attempt_at"] = world.clock.now() + delay_seconds
    world.mail.keep(record)
    scope = world.scope(record["endpoint_account"])
    scope.later(delay_seconds, "deliver", delivery=record["id"])


def _end(world: World, record: Json, state: str) -> None:
    """End a delivery and drop its payload, which would take most of the memory of a long run."""
    record["state"] = state
    record["payload"] = None
    world.mail.keep(record)


def _acknowledge(world: World, record: Json) -> None:
    """Decrement the event's `pending_webhooks` once, however often it was delivered."""
    account = world.account(record["account"])
    event = account.find("event", record["event"])
    if event is None:
        return
    acknowledged = account.note(event["id"]).setdefault("acknowledged_by", [])
    if record["endpoint"] not in acknowledged:
        acknowledged.append(record["endpoint"])
        event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)


@job("deliver")
def _deliver(scope: Scope, args: Json) -> None:
    record: Any = scope.world.mail.deliveries.get(args["delivery"])
    if record is not None and record["state"] == "pending":
        scope.world.send(record)
