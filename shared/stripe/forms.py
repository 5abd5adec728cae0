"""The forms of Stripe's objects, checked when an event comes, not later in a worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import NoneType
from typing import Any

Json = dict[str, Any]
Forms = Mapping[str, tuple[type, ...]]
# Ids become keys, labels and log fields, so their characters are limited.
ID = re.compile(r"[A-Za-z0-9_]{3,128}")
# The largest whole number that every JSON reader holds exactly (2**53).
LARGEST = 9_007_199_254_740_992
WHOLE = (int, NoneType)  # by its very type: a bool is an int, too
TEXT = (str, NoneType)
PART = (dict, NoneType)
REFERENCE = (str, dict, NoneType)
COLLECTION = (dict, list, NoneType)
AMOUNTS = (
    "amount",
    "amount_received",
    "amount_capturable",
    "amount_captured",
    "amount_refunded",
    "amount_total",
)
TEXTS = (
    "cancellation_reason",
    "closed_reason",
    "currency",
    "description",
    "failure_code",
    "failure_message",
    "failure_reason",
    "fraud_type",
    "opened_reason",
    "payment_status",
    "pending_reason",
    "reason",
    "receipt_email",
    "receipt_url",
    "status",
)
# Fields that people write; all other texts are Stripe's own words.
FREE_TEXTS = ("description", "email", "failure_message", "message", "receipt_email", "receipt_url")
PARTS = ("metadata", "last_payment_error", "customer_details", "evidence_details")
REFERENCES = (
    "charge",
    "payment_intent",
    "latest_charge",
    "payment_method",
    "balance_transaction",
)
OBJECT: Forms = {
    "id": TEXT,
    **dict.fromkeys((*AMOUNTS, "created", "evidence_due_by"), WHOLE),
    **dict.fromkeys(TEXTS, TEXT),
    **dict.fromkeys(PARTS, PART),
    **dict.fromkeys(REFERENCES, REFERENCE),
    **dict.fromkeys(("refunds", "charges", "balance_transactions"), COLLECTION),
}
ERROR: Forms = {
    **dict.fromkeys(("code", "decline_code", "message"), TEXT),
    **dict.fromkeys(("charge", "payment_method"), REFERENCE),
}
BOOKED: Forms = {**dict.fromkeys(("fee", "net", "available_on"), WHOLE), "currency": TEXT}


def require_amounts(obj: Json) -> None:
    """Require that every amount is a whole number or missing. Raises `ValueError`."""
    for name in AMOUNTS:
        if type(obj.get(name)) not in WHOLE:
            raise ValueError(f"unexpected form: {name}")


def require_object(obj: Json) -> None:
    """Require that all fields that we read of an object have Stripe's form.

    Stripe's own words (a status, a code) are ASCII; texts that people write may have any character,
    even half of a surrogate pair. Raises `ValueError`.
    """
    charges = _charges(obj)
    refunds = [refund for one in (obj, *charges) for refund in _members(one.get("refunds"))]
    for one in (obj, *charges, *refunds):
        _require(one, OBJECT)
        _require_texts(one.get("metadata") or {})
        for name in ("id", *REFERENCES):
            _require_id(one.get(name))
        for booked in (one.get("balance_transaction"), *_members(one.get("balance_transactions"))):
            _require(booked if isinstance(booked, dict) else {}, BOOKED)
    _require(obj.get("last_payment_error") or {}, ERROR)
    _require(obj.get("customer_details") or {}, {"email": TEXT})
    for refund in refunds:
        _require_own_id(refund)


def _charges(obj: Json) -> list[Json]:
    """Return the charges that an object shows whole."""
    places = (obj.get("charge"), obj.get("latest_charge"))
    return [*(one for one in places if isinstance(one, dict)), *_members(obj.get("charges"))]


def _members(collection: Any) -> list[Any]:
    """Return the members of a list object, or of the bare array of the oldest versions."""
    members = collection.get("data") if isinstance(collection, dict) else collection
    return [one for one in members if isinstance(one, dict)] if isinstance(members, list) else []


def _require(obj: Json, forms: Forms) -> None:
    for name in forms.keys() & obj.keys():
        value = obj[name]
        if type(value) not in forms[name] or (type(value) is int and abs(value) > LARGEST):
            raise ValueError(f"unexpected form: {name}")
        if isinstance(value, str) and not value.isascii() and name not in FREE_TEXTS:
            raise ValueError(f"unexpected form: {name}")


def _require_texts(metadata: Json) -> None:
    if not all(type(value) in TEXT for value in metadata.values()):
        raise ValueError("unexpected form: metadata")


def _require_own_id(obj: Json) -> None:
    """Require that a member of a list has an id: a text, not a reference."""
    id_ = obj.get("id")
    if not (isinstance(id_, str) and ID.fullmatch(id_)):
        raise ValueError("expected an id")


def _require_id(value: object) -> None:
    id_ = value.get("id") if isinstance(value, dict) else value
    if id_ not in (None, "") and not (isinstance(id_, str) and ID.fullmatch(id_)):
        raise ValueError("expected an id")
