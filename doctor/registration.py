"""Registration of the webhook endpoint at Stripe: plan the changes, and make them.

The endpoint has exactly the types that this service handles and its API version; a destination of
thin events has the types and no version. Stripe cannot change an endpoint's version, nor the
accounts whose events it gets: for another version a second endpoint is made, and the first still
works until a person disables it; an event that comes by both is processed once.
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
from shared.stripe.endpoints import (
    ACCOUNTS,
    SELF,
    WEBHOOK_PATH,
    snapshot_endpoints,
    thin_endpoints,
)
from shared.stripe.gateway import API_VERSION, StripeGateway
from worker.lost_events import GENERATION_FAILURE
from worker.registry import handled_types, thin_types

Json = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What to register: an endpoint of snapshots or of thin events, for one or all accounts."""

    thin: bool = False
    connect: bool = False

    @property
    def source(self) -> str:
        """Name the accounts whose events it gets, in Stripe's words."""
        return ACCOUNTS if self.connect else SELF

    @property
    def version(self) -> str | None:
        """Return the API version of its events; thin events have none."""
        return None if self.thin else API_VERSION

    @property
    def types(self) -> set[str]:
        """Return its types by their names in this service."""
        return {*handled_types(), *([GENERATION_FAILURE] if self.thin else [])}

    def describe(self) -> str:
        """Describe it in words."""
        kind = "a destination of thin events" if self.thin else "an endpoint"
        return kind + (" for connected accounts" if self.connect else "")


@dataclass(frozen=True)
class Plan:
    """The planned action, `create`, `update` or `nothing`, with a description of each step."""

    action: str
    url: str
    endpoint_id: str = ""
    changes: Json = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """The endpoint at Stripe; `secret` is set only when the endpoint was created."""

    endpoint_id: str
    secret: str = ""


class Registration:
    """Plan and make the registration of one address. Needs only `STRIPE_SECRET_KEY`."""

    def __init__(self, target: Target, settings: Settings | None = None) -> None:
        self._target = target
        self._settings = settings or load_settings("worker")
        self._gateway = StripeGateway(self._settings)

    def plan(self, address: str) -> Plan:
        """Compare the registered endpoint with the one that is needed; changes nothing.

        Raises `CallerError` for an invalid address, and the gateway's errors.
        """
        target = self._target
        url = webhook_url(address, livemode=self._settings.livemode)
        present = (thin_endpoints if target.thin else snapshot_endpoints)(self._gateway)
        same = [e for e in present if e["url"].rstrip("/") == url and target.source in e["sources"]]
        usable = [e for e in same if e.get("api_version") == target.version]
        notes = [*map(_other_version, (e for e in same if e not in usable))]
        if not usable:
            step = f"create {target.describe()} at {without_password(url)} with "
            step += f"{len(target.types)} types of events"
            step += f", in API version {target.version}" if target.version else ""
            return Plan("create", url, steps=(step,), notes=tuple(notes))
        best = min(usable, key=lambda e: (e["status"] != "enabled", e["url"] != url))
        notes += [f"{e['id']} has the same address: disable it" for e in usable if e is not best]
        changes, steps = _changes(best, url, target)
        action = "update" if steps else "nothing"
        return Plan(action, url, best["id"], changes, tuple(steps), tuple(notes))

    def carry_out(self, plan: Plan) -> Endpoint:
        """Make the changes of a plan. Raises the gateway's errors."""
        if plan.action == "create":
            return self._create(plan.url)
        if plan.action == "update" and self._target.thin:
            self._update_thin(plan.endpoint_id, plan.changes)
        elif plan.action == "update":
            self._gateway.update_webhook_endpoint(plan.endpoint_id, **plan.changes)
        return Endpoint(plan.endpoint_id)

    def _create(self, url: str) -> Endpoint:
        key = f"billing-register-{secrets.token_hex(16)}"
        if self._target.thin:
            source = self._target.source
            new = self._gateway.create_event_destination(url, thin_types(), source, key)
            secret = new["webhook_endpoint"].get("signing_secret")
        else:
            connect = self._target.connect
            new = self._gateway.create_webhook_endpoint(url, handled_types(), key, connect=connect)
            secret = new.get("secret")
        return Endpoint(str(new["id"]), str(secret or ""))

    def _update_thin(self, destination_id: str, changes: Json) -> None:
        """Make the changes of an endpoint to a destination, which has other names for them."""
        fields: Json = {}
        if "url" in changes:
            fields["webhook_endpoint"] = {"url": changes["url"]}
        if "enabled_events" in changes:
            fields["enabled_events"] = thin_types()
        if fields:
            self._gateway.update_event_destination(destination_id, **fields)
        if "disabled" in changes:
            self._gateway.enable_event_destination(destination_id)


def webhook_url(address: str, *, livemode: bool) -> str:
    """Build the address of the webhook: add the path, and remove a slash at the end.

    Raises `CallerError` for a text that is no address, has another path, or is not https in live
    mode.
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


def _changes(endpoint: Json, url: str, target: Target) -> tuple[Json, list[str]]:
    present = set(endpoint["enabled_events"])
    changes: Json = {}
    steps = []
    if endpoint["url"] != url:
        changes["url"] = url
        steps.append(f"change its address to {without_password(url)}")
    if present != target.types:
        changes["enabled_events"] = sorted(target.types)
        steps += [f"add {name}" for name in sorted(target.types - present)]
        steps += [f"remove {name}" for name in sorted(present - target.types)]
    if endpoint["status"] != "enabled":
        changes["disabled"] = False
        steps.append(f"enable it; it is {endpoint['status']}")
    return changes, steps
