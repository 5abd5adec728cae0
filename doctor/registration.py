"""Registration of the webhook endpoint at Stripe: what is to be changed, and the change.

The endpoint has exactly the types that this service handles and its API version. Stripe cannot
change an endpoint's version: for another version a second endpoint is made, and the first goes on
until a person disables it; an event that comes by both is processed once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import worker.handlers  # noqa: F401 - fills the registry
from shared.errors import CallerError
from shared.printable import without_password
from shared.settings import Settings, load_settings
from shared.stripe.endpoints import WEBHOOK_PATH
from shared.stripe.gateway import API_VERSION, StripeGateway
from worker.registry import handled_types

Json = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be done: `create`, `update` or `nothing`, with each step in words."""

    action: str
    url: str
    endpoint_id: str = ""
    changes: Json = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registered:
    """The endpoint at Stripe; `secret` is given when it was made, and never again."""

    endpoint_id: str
    secret: str = ""


class Registration:
    """Plan and make the registration of one address. Needs `STRIPE_SECRET_KEY` alone."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings("worker")
        self._gateway = StripeGateway(self._settings)

    def plan(self, address: str) -> Plan:
        """Compare what is registered with what should be; changes nothing.

        Raises `CallerError` for an address that cannot be one, and what the gateway raises.
        """
        url = webhook_url(address, livemode=self._settings.livemode)
        listed = self._gateway.webhook_endpoints()
        same = [e for e in listed if e["url"].rstrip("/") == url]
        usable = [e for e in same if e.get("api_version") == API_VERSION]
        notes = [*map(_other_version, (e for e in same if e not in usable))]
        if not usable:
            step = f"create an endpoint for {without_password(url)} with {len(handled_types())} "
            step += f"types of events, in API version {API_VERSION}"
            return Plan("create", url, steps=(step,), notes=tuple(notes))
        chosen = min(usable, key=lambda e: (e["status"] != "enabled", e["url"] != url))
        notes += [f"{e['id']} has the same address: disable it" for e in usable if e is not chosen]
        changes, steps = _changes(chosen, url)
        action = "update" if steps else "nothing"
        return Plan(action, url, chosen["id"], changes, tuple(steps), tuple(notes))

    def carry_out(self, plan: Plan) -> Registered:
        """Do what a plan says; for `nothing`, nothing. Raises what the gateway raises."""
        if plan.action == "create":
            made = self._gateway.create_webhook_endpoint(
                plan.url, list(handled_types()), f"billing-register-{secrets.token_hex(16)}"
            )
            return Registered(str(made["id"]), str(made.get("secret", "")))
        if plan.action == "update":
            self._gateway.update_webhook_endpoint(plan.endpoint_id, **plan.changes)
        return Registered(plan.endpoint_id)


def webhook_url(address: str, *, livemode: bool) -> str:
    """Give the address of the webhook: the path is added, and a slash at the end left out.

    Raises `CallerError` for what is no address, has another path, or is not https in live mode.
    """
    parts = urlsplit(address)
    path = parts.path.rstrip("/") or WEBHOOK_PATH
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise CallerError(
            "Give the public address: https://billing.example.com.", code="no_address"
        )
    if not path.endswith(WEBHOOK_PATH):
        raise CallerError(f"The path of the webhook is {WEBHOOK_PATH}.", code="wrong_path")
    if livemode and parts.scheme != "https":
        raise CallerError("Stripe sends live events to https only.", code="https_needed")
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _other_version(endpoint: Json) -> str:
    version = endpoint.get("api_version") or "of the account"
    return (
        f"{endpoint['id']} has this address with API version {version}, which Stripe cannot "
        "change. It goes on beside the new one. Set both secrets, check with ./billing doctor, "
        "then disable it in Stripe's dashboard."
    )


def _changes(endpoint: Json, url: str) -> tuple[Json, list[str]]:
    wanted, present = set(handled_types()), set(endpoint["enabled_events"])
    changes: Json = {}
    steps = []
    if endpoint["url"] != url:
        changes["url"] = url
        steps.append(f"change its address to {without_password(url)}")
    if present != wanted:
        changes["enabled_events"] = list(handled_types())
        steps += [f"add {name}" for name in sorted(wanted - present)]
        steps += [f"remove {name}" for name in sorted(present - wanted)]
    if endpoint["status"] != "enabled":
        changes["disabled"] = False
        steps.append(f"enable it; it is {endpoint['status']}")
    return changes, steps
