"""Payment methods: test cards and test IBANs, resolved from numbers, tokens and ready-made ids."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from sandbox.cards import card_entry, test_data
from sandbox.cards.test_data import TestCard
from sandbox.events_out import events
from sandbox.objects import other_methods, single_use
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope

READY_MADE_EXPIRY: Final = 9, 1
"""Expiry of cards from tokens and ready-made ids: the month, and years from now."""
DISPLAY_BRANDS: Final = {
    "amex": "american_express",
    "diners": "diners_club",
    "unionpay": "union_pay",
}
"""Brands that Stripe shows under another name."""
IBAN_COUNTRY: Final = slice(0, 2)
IBAN_BANK: Final = slice(4, 9)


def from_card(scope: Scope, card: TestCard, details: Json | None = None) -> Json:
    """Store a new card payment method; `details` may have expiry, CVC and billing details."""
    if not card.simulated:
        message = f"The test card `{card.key}` is not simulated by this sandbox."
        raise errors.invalid(message, "payment_method", "card_not_simulated")
    inputs = details or {}
    month, years = READY_MADE_EXPIRY
    record = _blank(scope, "card", inputs)
    networks = [name for name in (card.second_network, card.brand) if name is not None]
    cvc = "unchecked" if inputs.get("cvc_given", True) else None
    record["card"] = {
        "brand": card.brand,
        "checks": _checks(record, "unchecked", "unchecked", cvc),
        "country": card.country,
        "display_brand": DISPLAY_BRANDS.get(card.brand, card.brand),
        "exp_month": inputs.get("exp_month", month),
        "exp_year": inputs.get("exp_year", _year(scope) + years),
        "fingerprint": _fingerprint(card.key),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": networks, "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {
            "supported": card.three_ds is not test_data.ThreeDS.UNSUPPORTED,
        },
        "wallet": None,
    }
    note = scope.note(record["id"])
    note["card"] = card.key
    note["cvc_given"] = inputs.get("cvc_given", True)
    return scope.put("payment_method", record)


def _checks(record: Json, line1: str, postal_code: str, cvc: str | None) -> Json:
    """Return the checks of a card; data that were not given are not checked."""
    address = record["billing_details"]["address"]
    return {
        "address_line1_check": line1 if address["line1"] else None,
        "address_postal_code_check": postal_code if address["postal_code"] else None,
        "cvc_check": cvc,
    }


def checked(scope: Scope, record: Json) -> Json:
    """Return the checks of a card with the issuer's results."""
    card = card_of(scope, record)
    cvc = card.cvc_check if scope.note(record["id"])["cvc_given"] else None
    return _checks(record, card.line1_check, card.postal_code_check, cvc)


def from_iban(scope: Scope, iban: str, inputs: Json) -> Json:
    """Store a new SEPA debit payment method, with the IBAN's behaviour but not the IBAN."""
    record = _blank(scope, "sepa_debit", inputs)
    record["sepa_debit"] = {
        "bank_code": iban[IBAN_BANK],
        "branch_code": "",
        "country": iban[IBAN_COUNTRY],
        "fingerprint": _fingerprint(iban),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
    scope.note(record["id"])["iban"] = iban
    return scope.put("payment_method", record)


def _blank(scope: Scope, kind: str, inputs: Json) -> Json:
    return {
        "id": ids.new_id("payment_method"),
        "object": "payment_method",
        "allow_redisplay": inputs.get("allow_redisplay", "unspecified"),
        "billing_details": objects.billing_details(inputs.get("billing_details")),
        "created": scope.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": inputs.get("metadata") or {},
        "type": kind,
    }


def _fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _year(scope: Scope) -> int:
    return datetime.fromtimestamp(scope.now, UTC).year


def card_of(scope: Scope, payment_method: Json) -> TestCard:
    """Return the test card behind a card payment method."""
    return test_data.CARDS[scope.note(payment_method["id"])["card"]]


def resolve(scope: Scope, payment_method_id: str, missing_status: int = 400) -> Json:
    """Return a payment method by id; a ready-made `pm_card_…` id creates a new one."""
    method = scope.find("payment_method", payment_method_id)
    if method is not None:
        return method
    card = None
    if payment_method_id.startswith("pm_card_"):
        card = test_data.card_by_payment_method_id(payment_method_id)
    if card is None:
        raise errors.missing("PaymentMethod", payment_method_id, "payment_method", missing_status)
    return from_card(scope, card)


def create(scope: Scope, inputs: Json, prefix: str = "") -> Json:
    """Store a new payment method from request parameters. Raises Stripe's refusal."""
    for name in other_methods.PLAYED:
        if name in inputs and name != inputs["type"]:
            message = f"You provided `{name}`, but the type of the payment method is another."
            raise errors.invalid(message, f"{prefix}[{name}]" if prefix else name)
    if inputs["type"] == "sepa_debit":
        return from_iban(scope, _iban(inputs, prefix), inputs)
    card = inputs.get("card")
    if card is None:
        raise errors.invalid("Missing required param: card.", f"{prefix}card", "parameter_missing")
    if "token" in card:
        return from_card(scope, card_entry.card_from_token(card["token"]), inputs)
    return from_card(
        scope, card_entry.card_from_number(scope, card), inputs | card_entry.expiry(card)
    )


def _iban(inputs: Json, prefix: str) -> str:
    name = f"{prefix}sepa_debit[iban]" if not prefix else f"{prefix}[sepa_debit][iban]"
    raw = (inputs.get("sepa_debit") or {}).get("iban")
    if raw is None:
        raise errors.invalid(f"Missing required param: {name}.", name, "parameter_missing")
    iban = "".join(str(raw).split()).upper()
    if iban not in test_data.IBANS:
        message = "The IBAN you provided is invalid. The sandbox knows Stripe's test IBANs only."
        raise errors.invalid(message, name, "invalid_bank_account_iban")
    return iban


def attach(scope: Scope, payment_method: Json, customer_id: str) -> None:
    """Attach to a customer; a card that its issuer declines is already declined here."""
    if payment_method["customer"] == customer_id:
        return
    if payment_method["customer"] is not None:
        message = "The payment method you provided has already been attached to a customer."
        raise errors.impossible(message)
    if payment_method["type"] == "card":
        card = card_of(scope, payment_method)
        if card.decline is not None and card.attach_declines:
            decline = card.decline
            raise errors.card_error(decline.code, decline.message, **decline.error_fields())
        payment_method["card"]["checks"] = checked(scope, payment_method)
    payment_method["customer"] = customer_id
    events.emit(scope, "payment_method.attached", payment_method)


def find(scope: Scope, payment_method_id: str) -> Json:
    """Return a stored payment method, or raise Stripe's 404."""
    method = scope.find("payment_method", payment_method_id)
    if method is None:
        raise errors.missing("PaymentMethod", payment_method_id, "payment_method")
    return method


def _create(call: Call) -> Json:
    return create(call.scope, call.params)


def _retrieve(call: Call) -> Json:
    return resolve(call.scope, call.ids[0], missing_status=404)


def _update(call: Call) -> Json:
    record, inputs = find(call.scope, call.ids[0]), dict(call.params)
    if record["customer"] is None:
        message = "You must save this PaymentMethod to a customer before you can update it."
        raise errors.impossible(message)
    before = objects.copy_of(record)
    if "metadata" in inputs:
        objects.merge_metadata(record, inputs["metadata"])
    if "billing_details" in inputs:
        merged = {**record["billing_details"], **inputs["billing_details"]}
        record["billing_details"] = objects.billing_details(merged)
    record["allow_redisplay"] = inputs.get("allow_redisplay", record["allow_redisplay"])
    if record["type"] == "card":
        record["card"].update(inputs.get("card", {}))
    events.emit(call.scope, "payment_method.updated", record, before)
    return record


def _attach(call: Call) -> Json:
    record = resolve(call.scope, call.ids[0], missing_status=404)
    customer_id = call.params["customer"]
    if call.scope.find("customer", customer_id) is None:
        raise errors.missing("customer", customer_id, "customer", status=400)
    refusal = single_use.attach_refusal(call.scope, record)
    if refusal is not None:
        raise refusal
    attach(call.scope, record, customer_id)
    return record


def _detach(call: Call) -> Json:
    record = find(call.scope, call.ids[0])
    if record["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is "
        raise errors.impossible(message + "impossible.")
    before = objects.copy_of(record)
    record["customer"] = None
    single_use.retire(call.scope, record)
    events.emit(call.scope, "payment_method.detached", record, before)
    return record


def _list(call: Call) -> Json:
    customer = call.params.get("customer") or (call.ids[0] if call.ids else None)
    if call.ids and call.scope.find("customer", call.ids[0]) is None:
        raise errors.missing("customer", call.ids[0], "customer")
    kinds = lists.matching(call, "customer", "type", "allow_redisplay")

    def matches(record: Json) -> bool:
        return customer is not None and record["customer"] == customer and kinds(record)

    return lists.page(call, "payment_method", matches)


CARD: Final = params.fields(
    {
        "number": params.text(),
        "exp_month": params.integer(),
        "exp_year": params.integer(),
        "cvc": params.text(),
        "token": params.text(),
        **params.not_simulated("networks"),
    }
)
_REDISPLAY: Final = params.one_of("always", "limited", "unspecified")
CREATE: Final[dict[str, params.Parser | params.Required]] = {
    **other_methods.DETAILS,
    **params.not_simulated("customer_account radar_options"),
    "type": params.Required(other_methods.method_type()),
    "card": CARD,
    "sepa_debit": params.fields({"iban": params.Required(params.text())}),
    "billing_details": params.BILLING_DETAILS,
    "metadata": params.metadata(),
    "allow_redisplay": _REDISPLAY,
}
_LIST: Final = lists.params(
    customer=params.text(),
    type=other_methods.method_type(),
    allow_redisplay=_REDISPLAY,
    **params.not_simulated("customer_account"),
)
_PATH: Final = "/v1/payment_methods"
ROUTES: Final = (
    Route("POST", _PATH, _create, {**CREATE, **params.not_simulated("customer payment_method")}),
    Route("GET", _PATH, _list, _LIST),
    Route("GET", _PATH + "/{id}", _retrieve),
    Route(
        "POST",
        _PATH + "/{id}",
        _update,
        {
            "metadata": params.metadata(),
            "billing_details": params.BILLING_DETAILS,
            "allow_redisplay": _REDISPLAY,
            "card": params.fields(
                {
                    "exp_month": params.integer(1),
                    "exp_year": params.integer(1),
                    **params.not_simulated("networks"),
                }
            ),
            **params.not_simulated("payto us_bank_account"),
        },
    ),
    Route(
        "POST",
        _PATH + "/{id}/attach",
        _attach,
        {"customer": params.Required(params.text()), **params.not_simulated("customer_account")},
    ),
    Route("POST", _PATH + "/{id}/detach", _detach),
    Route("GET", "/v1/customers/{id}/payment_methods", _list, _LIST),
)
