"""Payment intents: create, change, confirm, capture, cancel, expire."""

from typing import Final

from sandbox.events_out import events
from sandbox.intents import confirmation
from sandbox.intents.intent_errors import unexpected_state
from sandbox.objects import charges, money, payment_methods, releases
from sandbox.wire.call import Call
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job

AMOUNT_CHANGEABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE: Final = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
    "processing",
)
CONFIGURATION: Final = {"id": "pmc_1SandboxDefaultConfiguration", "parent": None}
DYNAMIC_TYPES: Final = ["card", "link"]
PLAIN: Final = (
    "application_fee_amount",
    "description",
    "receipt_email",
    "setup_future_usage",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)
"""Parameters that are stored unchanged."""


def build(scope: Scope, inputs: Json) -> Json:
    """Return a new intent that is not stored yet."""
    types, dynamic = method_types(inputs)
    intent: Json = {
        "id": ids.new_id("payment_intent"),
        "object": "payment_intent",
        "amount": inputs["amount"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "automatic_payment_methods": dynamic,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": inputs.get("capture_method", "automatic_async"),
        "client_secret": None,
        "confirmation_method": inputs.get("confirmation_method", "automatic"),
        "created": scope.now,
        "currency": inputs["currency"],
        "customer": inputs.get("customer"),
        "customer_account": None,
        "excluded_payment_method_types": inputs.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": dict(CONFIGURATION) if dynamic else None,
        "payment_method_options": _options(types, inputs.get("payment_method_options")),
        "payment_method_types": types,
        "processing": None,
        "review": None,
        "shipping": objects.shipping(inputs.get("shipping")),
        "status": "requires_payment_method",
        "transfer_data": None,
        **{name: inputs.get(name) for name in PLAIN},
    }
    intent["client_secret"] = ids.client_secret(intent["id"])
    objects.merge_metadata(intent, inputs.get("metadata"))
    if inputs.get("allowed_payment_method_types") is not None:
        intent["allowed_payment_method_types"] = inputs["allowed_payment_method_types"]
    return intent


def create(scope: Scope, inputs: Json) -> Json:
    """Store a new intent, confirm it if requested, and return it."""
    money.check_amount(inputs["amount"], inputs["currency"])
    types = inputs.get("payment_method_types", [])
    confirmation.check_descriptor(inputs.get("statement_descriptor"), types)
    intent = build(scope, inputs)
    if inputs.get("confirm"):
        if not inputs.get("payment_method") and "payment_method_data" not in inputs:
            message = "You cannot confirm this PaymentIntent because it's missing a payment method."
            raise errors.invalid(message, "payment_method", "parameter_missing")
        method = confirmation.prepare(scope, intent, inputs)
        scope.put("payment_intent", intent)
        events.emit(scope, "payment_intent.created", intent)
        confirmation.pay(scope, intent, method, inputs)
        return intent
    _set_method(scope, intent, inputs)
    scope.put("payment_intent", intent)
    events.emit(scope, "payment_intent.created", intent)
    return intent


def _set_method(scope: Scope, intent: Json, inputs: Json) -> None:
    method = None
    if inputs.get("payment_method"):
        method = payment_methods.resolve(scope, inputs["payment_method"])
    if "payment_method_data" in inputs:
        data = inputs["payment_method_data"]
        method = payment_methods.create(scope, data, "payment_method_data")
    if method is not None:
        confirmation.check_method(scope, intent, method)
        intent.update(payment_method=method["id"], status="requires_confirmation")


def method_types(inputs: Json) -> tuple[list[str], Json | None]:
    """Return the method types of an intent, and its automatic_payment_methods if dynamic."""
    if "payment_method_types" in inputs:
        return list(inputs["payment_method_types"]), None
    if not inputs.get("automatic_payment_methods", {"enabled": True})["enabled"]:
        return ["card"], None
    types = [*DYNAMIC_TYPES, *(["sepa_debit"] if inputs["currency"] == "eur" else [])]
    allowed = inputs.get("allowed_payment_method_types")
    excluded = inputs.get("excluded_payment_method_types") or []
    types = [
        name for name in types if (allowed is None or name in allowed) and name not in excluded
    ]
    dynamic = {"allow_redirects": "always", "enabled": True}
    return types, dynamic | inputs.get("automatic_payment_methods", {})


def _options(types: list[str], inputs: Json | None) -> Json:
    card = {
        "installments": None,
        "mandate_options": None,
        "network": None,
        "request_three_d_secure": "automatic",
    }
    defaults: dict[str, Json] = {"card": card, "link": {}, "sepa_debit": {}}
    inputs = inputs or {}
    return {name: {**defaults.get(name, {}), **inputs.get(name, {})} for name in types}


def merge_options(intent: Json, inputs: Json) -> None:
    """Merge payment_method_options into those of the intent."""
    present = intent["payment_method_options"] or {}
    merged = {name: {**present.get(name, {}), **inputs.get(name, {})} for name in present | inputs}
    intent["payment_method_options"] = _options(intent["payment_method_types"], merged)


def find(scope: Scope, intent_id: object, param: str = "intent") -> Json:
    """Return an intent, or raise Stripe's 404."""
    intent = scope.find("payment_intent", intent_id)
    if intent is None:
        raise errors.missing("payment_intent", intent_id, param)
    return intent


def cancel(call: Call, intent: Json) -> None:
    """Cancel the intent and release the held money."""
    scope = call.scope
    if intent["status"] not in CANCELABLE:
        raise unexpected_state(
            intent,
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. "
            "Only a PaymentIntent with one of the following statuses may be canceled: "
            f"{', '.join(CANCELABLE)}.",
        )
    held = intent["status"] == "requires_capture"
    pending = intent["status"] == "processing"
    intent.update(
        status="canceled",
        canceled_at=scope.now,
        cancellation_reason=call.params.get("cancellation_reason"),
        amount_capturable=0,
        next_action=None,
    )
    events.emit(scope, "payment_intent.canceled", intent)
    if held:
        charge = scope.get("charge", intent["latest_charge"])
        releases.release(call, charge, charge["amount"])
    if pending:
        charge = scope.get("charge", intent["latest_charge"])
        charge.update(status="failed", captured=False, amount_captured=0)
        events.emit(scope, "charge.failed", charge)


def capture(call: Call, intent: Json) -> None:
    """Capture the held money or a part of it; the rest is released."""
    scope, inputs = call.scope, call.params
    if intent["status"] != "requires_capture":
        raise unexpected_state(
            intent,
            "This PaymentIntent could not be captured because it has a status of "
            f"{intent['status']}. Only a PaymentIntent with one of the following statuses may be "
            "captured: requires_capture.",
        )
    amount = {"amount_to_capture": intent["amount_capturable"], **inputs}["amount_to_capture"]
    _check_capture_amount(intent, amount)
    charge = scope.get("charge", intent["latest_charge"])
    kind = charge["payment_method_details"]["type"]
    confirmation.check_descriptor(inputs.get("statement_descriptor"), [kind])
    before = objects.copy_of(charge)
    charge.update(captured=True, amount_captured=amount)
    if "statement_descriptor_suffix" in inputs:
        for record in (intent, charge):
            record["statement_descriptor_suffix"] = inputs["statement_descriptor_suffix"]
    charges.settle(scope, charge)
    if "metadata" in inputs:
        objects.merge_metadata(intent, inputs["metadata"])
    intent.update(status="succeeded", amount_received=amount, amount_capturable=0)
    events.emit(scope, "charge.captured", charge, before)
    if amount < charge["amount"]:
        releases.release(call, charge, charge["amount"] - amount)
    events.emit(scope, "payment_intent.succeeded", intent)


def _check_capture_amount(intent: Json, amount: int) -> None:
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise errors.invalid(message, "amount_to_capture", "parameter_invalid_integer")
    if amount > intent["amount_capturable"]:
        message = (
            f"The provided amount_to_capture ({amount}) is greater than the amount capturable on "
            f"this PaymentIntent ({intent['amount_capturable']})."
        )
        raise errors.impossible(message, "amount_too_large", param="amount_to_capture")


@job("expire_hold")
def _expire_hold(scope: Scope, args: Json) -> None:
    intent = scope.get("payment_intent", args["intent"])
    if intent["status"] != "requires_capture" or intent["latest_charge"] != args["charge"]:
        return
    charge = scope.get("charge", args["charge"])
    events.emit(scope, "charge.expired", charge)
    intent.update(
        status="canceled",
        canceled_at=scope.now,
        cancellation_reason="expired",
        amount_capturable=0,
    )
    events.emit(scope, "payment_intent.canceled", intent)
