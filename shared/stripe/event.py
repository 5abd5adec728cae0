"""A Stripe event: the fields that the service needs, and the event's object."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from shared.errors import CallerError
from shared.stripe.forms import ID, require_amounts, require_object

Json = dict[str, Any]
THIN_OBJECT = "v2.core.event"
# Stripe mirrors its v1 types as thin events under this prefix.
THIN_PREFIX = "v1."
# Objects that name a charge, and the charge's payment intent if it has one.
OF_A_CHARGE = ("refund", "dispute", "radar.early_fraud_warning", "review")
OURS = (*OF_A_CHARGE, "payment_intent", "charge", "checkout.session")
# Types, accounts and versions become keys, labels and log fields, so their characters are limited.
NAME = re.compile(r"[A-Za-z0-9_.\-]{1,255}")
# The last second that every JSON reader holds exactly (2**53).
LATEST = 9_007_199_254_740_992


@dataclass(frozen=True)
class Event:
    """One event; `object` is empty for a thin event until it has been fetched.

    `created` is in whole Unix seconds; Stripe promises no order of events. `read_at` is the time at
    which a worker reads it, by Redis's clock; 0 before. `known` is the state of its payment at that
    time (`shared/facts.py`), so that a handler does not ask Stripe for what is known.
    """

    id: str
    type: str
    created: int
    livemode: bool
    object: Json
    account: str | None = None
    api_version: str | None = None
    previous: Json | None = None
    request_key: str | None = None
    request_id: str | None = None
    related_url: str | None = None
    data: Json | None = None
    read_at: int = 0
    known: Json = field(default_factory=dict)

    @property
    def fetched(self) -> bool:
        """Say whether the object was fetched later, so that it may be newer than the event."""
        return self.related_url is not None

    @cached_property
    def payment_id(self) -> str | None:
        """Return the id of the event's payment, when the object has it."""
        return payment_of(self.object)

    @property
    def charge_id(self) -> str | None:
        """Name the charge of an intent that the event tells of, for what names the charge alone."""
        if self.object.get("object") == "payment_intent":
            return charge_of(self.object)
        charge_id = reference(self.object) if self.object.get("object") == "charge" else None
        return None if charge_id == self.payment_id else charge_id


def parse_event(body: str | bytes | Json, read_at: int = 0) -> Event:
    """Read an event, snapshot or thin. Raises `CallerError` (`unreadable_body`) otherwise.

    An event that is accepted here can be read again in the worker: UTF-8 without a byte order mark,
    only numbers of JSON, and only names that can be a part of a key.
    """
    try:
        raw = body if isinstance(body, dict) else _decode(body)
        event = (_thin if raw["object"] == THIN_OBJECT else _snapshot)(raw, read_at)
        _require_ids(event)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CallerError("The body is not a Stripe event.", code="unreadable_body") from error
    return event


def _decode(body: str | bytes) -> Json:
    raw: Json = _READER.decode(body.decode() if isinstance(body, bytes) else body)
    return raw


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("no JSON number")
    return number


_READER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def _require_ids(event: Event) -> None:
    ids = [event.id, event.account, event.payment_id]
    if not all(ID.fullmatch(text) for text in ids if text is not None):
        raise ValueError("expected an id")


def _snapshot(raw: Json, read_at: int) -> Event:
    if raw["object"] != "event" or not isinstance(raw["data"]["object"], dict):
        raise ValueError("not an event")
    _require_forms(raw["data"]["object"])
    previous = _object(raw["data"].get("previous_attributes"))
    if previous:
        require_amounts(previous)
    return Event(
        id=_name(raw["id"]),
        type=_name(raw["type"]),
        created=_moment(raw["created"]),
        livemode=_flag(raw.get("livemode")),
        object=_without_null_metadata(raw["data"]["object"]),
        account=_optional(raw.get("account")),
        api_version=_optional(raw.get("api_version")),
        previous=previous,
        request_key=_request_key(raw.get("request")),
        request_id=_request_id(raw.get("request")),
        read_at=read_at,
    )


def _thin(raw: Json, read_at: int) -> Event:
    related = _object(raw.get("related_object")) or {}
    return Event(
        # Stripe's list has the twin snapshot: under its id both are processed once.
        id=_name(raw.get("snapshot_event") or raw["id"]),
        type=_name(raw["type"]).removeprefix(THIN_PREFIX),
        created=_moment(int(datetime.fromisoformat(raw["created"]).timestamp())),
        livemode=_flag(raw.get("livemode")),
        object={},
        account=account_in(raw.get("context")),
        request_key=_request_key((raw.get("reason") or {}).get("request")),
        request_id=_request_id((raw.get("reason") or {}).get("request")),
        related_url=reference(related.get("url")),
        data=_object(raw.get("data")),
        read_at=read_at,
    )


def _without_null_metadata(obj: Json) -> Json:
    """Leave out metadata that is null: it is not there, and readers expect texts."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or None not in metadata.values():
        return obj
    return obj | {"metadata": {name: text for name, text in metadata.items() if text is not None}}


def _require_forms(obj: Json) -> None:
    """Refuse an object of a handled type that does not have Stripe's form."""
    kind = obj.get("object")
    if kind is not None and not isinstance(kind, str):
        raise ValueError("expected the name of a kind of object")
    if kind in OURS:
        require_object(obj)


def _request_key(request: object) -> str | None:
    """Return the idempotency key of the request that caused the event; old versions give an id."""
    return _printable(request.get("idempotency_key")) if isinstance(request, dict) else None


def _request_id(request: object) -> str | None:
    return _printable(request.get("id") if isinstance(request, dict) else request)


def _printable(value: object) -> str | None:
    """Return a text that a log can show, else none: the event is accepted without it."""
    return value if isinstance(value, str) and value and value.isprintable() else None


def account_in(context: object) -> str | None:
    """Name the account of a thin event's context, which may be a path (`org_…/acct_…`)."""
    return context.rpartition("/")[2] if isinstance(context, str) and context else None


def _name(value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError("expected a name")
    return value


def _object(value: object) -> Json | None:
    if value is not None and not isinstance(value, dict):
        raise ValueError("expected an object")
    return value


def _optional(value: object) -> str | None:
    return None if value is None else _name(value)


def _flag(value: object) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ValueError("expected true or false")
    return bool(value)


def _moment(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LATEST:
        raise ValueError("expected a second")
    return value


def reference(value: Any) -> str | None:
    """Return the id of a field that holds an id or the expanded object."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and value else None


def payment_of(obj: Json) -> str | None:
    """Return the id of an object's payment: its payment intent, else the charge or session."""
    kind, charge = obj.get("object"), obj.get("charge")
    intent = reference(obj.get("payment_intent"))
    if kind == "payment_intent":
        return reference(obj)
    if kind in ("charge", "checkout.session"):
        return intent or reference(obj)
    if kind in OF_A_CHARGE:
        expanded = charge if isinstance(charge, dict) else {}
        return intent or reference(expanded.get("payment_intent")) or reference(charge)
    return None


def charge_of(intent: Json) -> str | None:
    """Name an intent's latest charge; versions before 2022-11-15 list them, newest first."""
    return reference(intent.get("latest_charge")) or reference(newest_charge(intent))


def newest_charge(intent: Json) -> Json:
    """Return an intent's latest charge, where it is expanded; else an empty dict."""
    expanded = intent.get("latest_charge")
    if isinstance(expanded, dict):
        return expanded
    charges = items(intent.get("charges"))
    return charges[0] if charges else {}


def items(collection: object) -> list[Json]:
    """Return the members of a list object, or of the bare array of the oldest versions."""
    members = collection.get("data") if isinstance(collection, dict) else collection
    return [item for item in members if isinstance(item, dict)] if isinstance(members, list) else []
