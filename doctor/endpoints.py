"""Examine the webhook endpoints at Stripe: address, status, types, and recent deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import CallerError, Misconfigured
from shared.printable import without_password
from shared.settings import Settings
from shared.store.durability import Finding
from shared.stripe.endpoints import (
    ACCOUNTS,
    SELF,
    WEBHOOK_PATH,
    is_ours,
    snapshot_endpoints,
    thin_endpoints,
)
from shared.stripe.gateway import API_VERSION, StripeGateway
from worker.lost_events import GENERATION_FAILURE
from worker.registry import handled_types

Json = dict[str, Any]
REGISTER = "Run ./billing stripe register https://…/api/webhook (or forward with stripe listen)."
# Stripe first tries within seconds; an undelivered event older than this was refused at least once.
DELIVERED_BY_SECONDS = 120
# Older events may have been refused for a reason that has been removed since.
LOOKED_AT_SECONDS = 86_400
# Stripe lists events of up to 20 types in one call.
TYPES_PER_CALL = 20


def enabled_addresses(endpoints: list[Json]) -> list[str]:
    """List the addresses to which Stripe sends this service's events."""
    return [e["url"] for e in endpoints if is_ours(e) and e["status"] == "enabled"]


def endpoints_of(gateway: StripeGateway) -> tuple[list[Json], str]:
    """List the webhook endpoints and the destinations of thin events.

    When our key may not read destinations, the list lacks them, and the refusal is returned too.
    Raises the gateway's errors.
    """
    endpoints = snapshot_endpoints(gateway)
    try:
        return endpoints + thin_endpoints(gateway), ""
    except (CallerError, Misconfigured) as error:
        return endpoints, str(error)


def examine_endpoints(settings: Settings, endpoints: list[Json]) -> Iterator[Finding]:
    """Examine the endpoints with our path; when there is none, list the others."""
    ours = [e for e in endpoints if is_ours(e)]
    for endpoint in ours:
        if endpoint["status"] != "enabled":
            what = f"{_description(endpoint)} is {endpoint['status']} at Stripe: it gets no events"
            fix = (
                "Find out why the endpoint refused events, then enable it again: "
                f"{_command(endpoint)}."
            )
            yield Finding(_level(settings), "stripe", what, fix)
    enabled = [e for e in ours if e["status"] == "enabled"]
    if not any(SELF in e["sources"] for e in enabled):
        what = "no enabled webhook endpoint has the path " + WEBHOOK_PATH
        what += " and gets the events of our own account" if enabled else ""
        others = [without_password(e["url"]) for e in endpoints if not is_ours(e)]
        what += f"; there are {', '.join(others)}" if others else ""
        yield Finding(_level(settings), "stripe", what, REGISTER)
    for endpoint in enabled:
        yield from _examine_enabled(settings, endpoint)


def examine_connected(gateway: StripeGateway, endpoints: list[Json]) -> Iterator[Finding]:
    """Tell of connected accounts (Stripe Connect) whose events no endpoint gets.

    A key that may not list accounts is no fault: who has none needs no such right.
    """
    enabled = [e for e in endpoints if is_ours(e) and e["status"] == "enabled"]
    if any(ACCOUNTS in e["sources"] for e in enabled):
        return
    try:
        account = next(gateway.connected_accounts(), None)
    except (CallerError, Misconfigured):
        return
    if account is not None:
        what = f"no enabled webhook endpoint gets the events of connected accounts ({account})"
        yield Finding("warning", "stripe", what, REGISTER + " With --connect.")


def _level(settings: Settings) -> Any:
    return "error" if settings.livemode else "warning"


def _description(endpoint: Json) -> str:
    kind = "event destination" if endpoint.get("thin") else "webhook endpoint"
    kind += " for connected accounts" if endpoint["sources"] == [ACCOUNTS] else ""
    return f"{kind} {endpoint['id']} ({without_password(endpoint['url'])})"


def _command(endpoint: Json) -> str:
    """Return the command that repairs this endpoint; with other options it makes another one."""
    options = " --thin" if endpoint.get("thin") else ""
    options += " --connect" if endpoint["sources"] == [ACCOUNTS] else ""
    return f"./billing stripe register{options}"


def _examine_enabled(settings: Settings, endpoint: Json) -> Iterator[Finding]:
    where = _description(endpoint)
    if settings.livemode and not endpoint["url"].startswith("https://"):
        yield Finding("error", "stripe", f"{where} is not https", "Register an https URL.")
    if endpoint["url"].endswith("/"):
        what = f"{where} ends with a slash, which a proxy may answer with a redirect"
        yield Finding("warning", "stripe", what, f"{_command(endpoint)} corrects it.")
    thin = endpoint.get("thin", False)
    missing = {*handled_types(), *([GENERATION_FAILURE] if thin else [])}
    missing -= set(endpoint["enabled_events"])
    if missing and "*" not in endpoint["enabled_events"]:
        what = f"{where} does not send {', '.join(sorted(missing))}"
        yield Finding("warning", "stripe", what, f"{_command(endpoint)} enables them.")
    else:
        yield Finding("ok", "stripe", f"{where} sends every type that this service handles")
    version = endpoint.get("api_version")
    if version not in (None, API_VERSION):
        what = f"{where} sends API version {version}, this service uses {API_VERSION}"
        fix = f"Stripe cannot change it: {_command(endpoint)} makes a new endpoint."
        yield Finding("warning", "stripe", what, fix)


def examine_deliveries(gateway: StripeGateway, now: int) -> Iterator[Finding]:
    """Report how many of the newest events Stripe could not deliver to every endpoint."""
    created = {"gte": now - LOOKED_AT_SECONDS, "lte": now - DELIVERED_BY_SECONDS}
    types = list(handled_types())[:TYPES_PER_CALL]
    page = next(gateway.events(created=created, types=types), [])
    waiting = [event for event in page if event.get("pending_webhooks")]
    if waiting:
        what = f"Stripe has not delivered {len(waiting)} of the last {len(page)} events "
        what += f"to every endpoint, {waiting[0]['id']} the latest"
        fix = (
            "Read the endpoint's attempts in Stripe's dashboard: 400 invalid_signature is a wrong "
        )
        fix += "STRIPE_WEBHOOK_SECRET, 404 a wrong path. Then ./billing reconcile."
        yield Finding("warning", "stripe", what, fix)
    elif page:
        yield Finding("ok", "stripe", f"Stripe has delivered the last {len(page)} events")
