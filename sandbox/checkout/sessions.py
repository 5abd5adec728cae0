"""Checkout sessions: open, then complete (paid now or later) or expired.

The session's payment intent is created when the payer confirms. The intent's events decide the end
of the session, so 3D Secure and slow debits need no special code here.
"""

from typing import Final

from sandbox.checkout import session_params
from sandbox.checkout.line_items import build_items, items_of
from sandbox.events_out import events
from sandbox.intents import confirmation, payment_intents
from sandbox.objects import customers
from sandbox.world import errors, ids, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job, reacts_to

LIFETIME_SECONDS: Final = 24 * 3600
"""A session stays open for a day unless told otherwise;"""
MIN_LIFETIME_SECONDS: Final = 30 * 60
"""at least half an hour,"""
MAX_LIFETIME_SECONDS: Final = 24 * 3600
"""at most a day."""
SESSION_ID_TEMPLATE: Final = "{CHECKOUT_SESSION_ID}"
KIND: Final = "checkout.session"


def create(scope: Scope, inputs: Json) -> Json:
    """Keep a new open session and return it."""
    items = build_items(scope, inputs["line_items"])
    currency = items[0]["currency"]
    if inputs.get("currency", currency) != currency:
        message = f"The price of the line items is in {currency}, not in {inputs['currency']}."
        raise errors.invalid(message, "currency")
    total = sum(item["amount_total"] for item in items)
    types = payment_intents.method_types({**inputs, "currency": currency})[0]
    session = _build(scope, inputs, currency, total)
    session["payment_method_types"] = types
    session["expires_at"] = _expiry(scope, inputs)
    hosted = session["ui_mode"] == "hosted_page"
    if hosted:
        session["url"] = f"{scope.world.base_url}/_sandbox/checkout/{session['id']}"
    else:
        session["client_secret"] = ids.client_secret(session["id"])
    note = scope.note(session["id"])
    note["items"] = items
    note["intent_data"] = inputs.get("payment_intent_data", {})
    note["options"] = inputs.get("payment_method_options", {})
    scope.put(KIND, session)
    delay = session["expires_at"] - scope.now
    scope.later(delay, "expire_session", session=session["id"])
    return session


def _expiry(scope: Scope, inputs: Json) -> int:
    expires_at: int = {"expires_at": scope.now + LIFETIME_SECONDS, **inputs}["expires_at"]
    if not MIN_LIFETIME_SECONDS <= expires_at - scope.now <= MAX_LIFETIME_SECONDS:
        message = (
            "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from "
            "Checkout Session creation."
        )
        raise errors.invalid(message, "expires_at")
    return expires_at


def _build(scope: Scope, inputs: Json, currency: str, total: int) -> Json:
    return {
        "id": ids.new_id(KIND),
        "object": KIND,
        **{name: inputs.get(name) for name in session_params.SHOWN_AS_GIVEN},
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "client_secret": None,
        "collected_information": {
            "business_name": None,
            "individual_name": None,
            "shipping_details": None,
        },
        "consent": None,
        "created": scope.now,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_account": None,
        "customer_creation": _customer_creation(inputs),
        "customer_details": _customer_details(scope, inputs),
        "discounts": [],
        "invoice": None,
        "invoice_creation": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": inputs.get("metadata") or {},
        "mode": "payment",
        "optional_items": [],
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": (
            None if "payment_method_types" in inputs else dict(payment_intents.CONFIGURATION)
        ),
        "payment_method_options": {
            "card": {"request_three_d_secure": "automatic"}
            | (inputs.get("payment_method_options") or {}).get("card", {})
        },
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": inputs.get("ui_mode", "hosted_page"),
        "url": None,
        "wallet_options": None,
    }


def _customer_details(scope: Scope, inputs: Json) -> Json | None:
    """Return the payer's details before the payment: the e-mail of the customer or the request."""
    customer = scope.find("customer", inputs["customer"]) if inputs.get("customer") else None
    email = customer["email"] if customer else inputs.get("customer_email")
    if customer is None and email is None:
        return None
    blank = ("address", "business_name", "individual_name", "name", "phone", "tax_ids")
    return {**dict.fromkeys(blank), "email": email, "tax_exempt": "none"}


def _customer_creation(inputs: Json) -> str | None:
    if inputs.get("customer"):
        return None
    usage = (inputs.get("payment_intent_data") or {}).get("setup_future_usage")
    return "always" if usage else str(inputs.get("customer_creation", "if_required"))


def find(scope: Scope, session_id: object) -> Json:
    """Return a session, or raise Stripe's 404."""
    session = scope.find(KIND, session_id)
    if session is None:
        raise errors.missing("checkout.session", session_id, "session")
    return session


def expire(scope: Scope, session: Json) -> None:
    """Expire an open session."""
    if session["status"] != "open":
        message = 'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
        raise errors.impossible(f"{message}Session has a status of {session['status']}.")
    session.update(status="expired", url=None)
    events.emit(scope, "checkout.session.expired", session)


@job("expire_session")
def _expire_later(scope: Scope, args: Json) -> None:
    session = scope.get(KIND, args["session"])
    if session["status"] == "open":
        expire(scope, session)


def pay(scope: Scope, session: Json, method: Json) -> Json:
    """Pay an open session with a payment method; return the intent. Raises Stripe's refusals."""
    if session["status"] != "open":
        message = f"This Checkout Session has a status of {session['status']}: nothing can be paid."
        raise errors.impossible(message)
    intent = scope.find("payment_intent", scope.note(session["id"]).get("intent"))
    fresh = intent is None
    if intent is None:
        intent = _build_intent(scope, session)
    inputs = {"return_url": f"{scope.world.base_url}/_sandbox/checkout/{session['id']}"}
    confirmation.prepare(scope, intent, {**inputs, "payment_method": method["id"]})
    if fresh:
        _enroll(scope, session, intent)
    _note_customer(scope, session, intent, method)
    confirmation.pay(scope, intent, method, inputs)
    return intent


def _build_intent(scope: Scope, session: Json) -> Json:
    data = scope.note(session["id"])["intent_data"]
    inputs = {
        **data,
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "payment_method_options": scope.note(session["id"])["options"],
        "payment_method_types": session["payment_method_types"],
        "receipt_email": data.get("receipt_email") or session["customer_email"],
    }
    return payment_intents.build(scope, inputs)


def _enroll(scope: Scope, session: Json, intent: Json) -> None:
    scope.note(session["id"])["intent"] = intent["id"]
    scope.note(intent["id"])["session"] = session["id"]
    session["payment_intent"] = intent["id"]
    scope.put("payment_intent", intent)
    events.emit(scope, "payment_intent.created", intent)


def _note_customer(scope: Scope, session: Json, intent: Json, method: Json) -> None:
    billing = method["billing_details"]
    email = session["customer_email"] or billing["email"]
    session["customer_details"] = {
        "address": billing["address"],
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": billing["name"],
        "phone": billing["phone"],
        "tax_exempt": "none",
        "tax_ids": [],
    }
    if session["customer_creation"] == "always" and session["customer"] is None:
        inputs = {"email": email, "name": billing["name"], "phone": billing["phone"]}
        session["customer"] = customers.create(scope, inputs)["id"]
    intent["customer"] = session["customer"]


def _session_of(scope: Scope, intent: Json) -> Json | None:
    session_id = scope.note(intent["id"]).get("session")
    return scope.find(KIND, session_id) if session_id else None


@reacts_to(
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.amount_capturable_updated",
)
def _payment_moved(scope: Scope, intent: Json) -> None:
    session = _session_of(scope, intent)
    if session is None:
        return
    is_paid = intent["status"] == "succeeded"
    if session["status"] == "open":
        status = "paid" if is_paid else "unpaid"
        session.update(status="complete", payment_status=status, url=None)
        scope.note(session["id"])["slow"] = intent["status"] == "processing"
        events.emit(scope, "checkout.session.completed", session)
    elif is_paid and session["payment_status"] == "unpaid":
        session["payment_status"] = "paid"
        if scope.note(session["id"]).get("slow"):
            events.emit(scope, "checkout.session.async_payment_succeeded", session)


@reacts_to("payment_intent.payment_failed")
def _payment_failed(scope: Scope, intent: Json) -> None:
    session = _session_of(scope, intent)
    if session is not None and scope.note(session["id"]).get("slow"):
        events.emit(scope, "checkout.session.async_payment_failed", session)


def success_address(session: Json) -> str | None:
    """Return where the payer goes after paying."""
    url = session["success_url"]
    return url.replace(SESSION_ID_TEMPLATE, session["id"]) if url else None


def line_items(scope: Scope, session: Json) -> list[Json]:
    """Return the line items for the checkout page."""
    return objects.copy_of(items_of(scope, session))
