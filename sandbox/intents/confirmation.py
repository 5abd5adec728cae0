"""Confirm payment intents: choose the method, ask the issuer, and move the intent's state.

requires_payment_method / requires_confirmation
    ├─ approved ──> succeeded, or requires_capture
    ├─ 3D Secure ─> requires_action ──> approved, declined, or authentication failed
    ├─ debit ─────> processing ──> succeeded or failed, days later
    └─ declined ──> requires_payment_method, and a failed charge
"""

from typing import Any, Final

from sandbox.cards import test_data
from sandbox.cards.authorization import Decision, Setting, Verdict, decide
from sandbox.cards.declines import AUTHENTICATION_REQUIRED, Decline
from sandbox.events_out import events
from sandbox.intents import next_action
from sandbox.intents.intent_errors import unexpected_state
from sandbox.objects import charges, payment_methods, single_use
from sandbox.objects.charges import Attempt
from sandbox.world import errors, objects
from sandbox.world.objects import Json
from sandbox.world.world import Scope, job

CONFIRMABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
DEBIT_FAILED: Final = Decline(
    "insufficient_funds",
    "insufficient_funds",
    "The customer's account has insufficient funds to cover this payment.",
    None,
    None,
)


def prepare(scope: Scope, intent: Json, inputs: Json) -> Json:
    """Return the method to pay with. Raises Stripe's refusal; the intent stays unchanged."""
    if intent["status"] not in CONFIRMABLE:
        raise _not_confirmable(intent)
    check_return_url(intent, inputs)
    return _choose_method(scope, intent, inputs)


def pay(scope: Scope, intent: Json, method: Json, inputs: Json) -> None:
    """Try to pay the intent now. Raises Stripe's 402 if it is declined."""
    note = scope.note(intent["id"])
    note["return_url"] = inputs.get("return_url") or note.get("return_url")
    note["off_session"] = is_off_session(inputs)
    note["use_stripe_sdk"] = inputs.get("use_stripe_sdk", False)
    single_use.spend(scope, intent, method)
    intent.update(payment_method=method["id"], next_action=None)
    if method["type"] == "sepa_debit":
        _debit(scope, intent, method)
        return
    decision = decide(payment_methods.card_of(scope, method), _setting(scope, intent, method))
    if decision.verdict is Verdict.CHALLENGED and inputs.get("error_on_requires_action"):
        decision = Decision(Verdict.DECLINED, AUTHENTICATION_REQUIRED)
    carry_out(scope, intent, method, decision)
    if decision.decline is not None:
        raise card_declined(intent, decision.decline)


def is_off_session(inputs: Json) -> bool:
    """Say whether the request is off session: the holder cannot act."""
    return inputs.get("off_session") not in (None, False, "false")


def check_return_url(intent: Json, inputs: Json) -> None:
    """Require a return_url, or no redirects, if Stripe chooses the methods dynamically.

    An off-session payment needs none, because there is no holder to redirect.
    """
    dynamic = intent["automatic_payment_methods"]
    redirects = dynamic is not None and dynamic.get("allow_redirects") != "never"
    if redirects and not inputs.get("return_url") and not is_off_session(inputs):
        message = (
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. "
            "Because some of these payment methods might redirect your customer off of your page, "
            "you must provide a `return_url`. If you don't want to accept redirect-based payment "
            "methods, set `automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents "
            "and Payment Intents."
        )
        raise errors.invalid(message)


def carry_out(scope: Scope, intent: Json, method: Json, decision: Decision) -> None:
    """Move the intent to the state that the decision gives, with its charge and its events."""
    if decision.verdict is Verdict.CHALLENGED:
        _challenge(scope, intent, method)
    elif decision.decline is not None:
        _decline(scope, intent, method, decision)
    else:
        _approve(scope, intent, method, decision)


def authenticated(scope: Scope, intent: Json) -> None:
    """Continue the payment after a successful authentication."""
    method = scope.get("payment_method", intent["payment_method"])
    if intent["confirmation_method"] == "manual":
        scope.note(intent["id"])["authenticated"] = True
        intent.update(status="requires_confirmation", next_action=None)
        return
    decision = decide(payment_methods.card_of(scope, method), Setting(authenticated=True))
    intent["next_action"] = None
    carry_out(scope, intent, method, decision)


def authentication_failed(scope: Scope, intent: Json) -> None:
    """Return the intent to requires_payment_method after a failed authentication."""
    method = scope.get("payment_method", intent["payment_method"])
    problem = errors.StripeError(
        400,
        {
            "code": "payment_intent_authentication_failure",
            "message": (
                "The provided PaymentMethod has failed authentication. You can provide "
                "payment_method_data or a new PaymentMethod to attempt to fulfill this "
                "PaymentIntent again."
            ),
            "payment_method": objects.copy_of(method),
            "type": "invalid_request_error",
        },
    )
    _give_back(scope, intent, problem.error)


def card_declined(intent: Json, decline: Decline) -> errors.StripeError:
    """Return the 402 for a declined intent."""
    failure = intent["last_payment_error"]
    return errors.card_error(
        decline.code,
        decline.message,
        **decline.error_fields(),
        charge=failure.get("charge"),
        payment_intent=intent,
        payment_method=failure["payment_method"],
    )


def _setting(scope: Scope, intent: Json, method: Json) -> Setting:
    note, method_note = scope.note(intent["id"]), scope.note(method["id"])
    options = (intent["payment_method_options"] or {}).get("card", {})
    return Setting(
        off_session=note["off_session"],
        three_ds_requested=options.get("request_three_d_secure") in ("any", "challenge"),
        set_up_before=method_note.get("set_up", False),
        authenticated=note.pop("authenticated", False),
        cvc_given=method_note["cvc_given"],
    )


def _not_confirmable(intent: Json) -> errors.StripeError:
    if intent["status"] == "succeeded":
        message = "You cannot confirm this PaymentIntent because it has already succeeded after "
        return unexpected_state(intent, message + "being previously confirmed.")
    return unexpected_state(
        intent,
        f"You cannot confirm this PaymentIntent because it has a status of {intent['status']}. "
        f"Only a PaymentIntent with one of the following statuses may be confirmed: "
        f"{', '.join(CONFIRMABLE)}.",
    )


def _choose_method(scope: Scope, intent: Json, inputs: Json) -> Json:
    if "payment_method_data" in inputs:
        prefix = "payment_method_data"
        method = payment_methods.create(scope, inputs["payment_method_data"], prefix)
    elif inputs.get("payment_method") or intent["payment_method"]:
        method_id = inputs.get("payment_method") or intent["payment_method"]
        method = payment_methods.resolve(scope, method_id)
    else:
        raise unexpected_state(
            intent,
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.",
        )
    check_method(scope, intent, method)
    return method


def check_method(scope: Scope, intent: Json, method: Json) -> None:
    """Refuse a method of another customer, of a type that the intent excludes, or already used."""
    single_use.check_payable(scope, intent, method)
    check_descriptor(intent["statement_descriptor"], [method["type"]])
    if method["customer"] not in (None, intent["customer"]):
        message = (
            f"The PaymentMethod supplied ({method['id']}) belongs to a Customer. Please include "
            "that Customer in the `customer` parameter on the PaymentIntent."
        )
        raise errors.invalid(message, "payment_method")
    if method["type"] not in intent["payment_method_types"]:
        message = (
            f"The PaymentMethod provided ({method['type']}) is not allowed for this PaymentIntent. "
            "Please attach a PaymentMethod of one of the following types: "
            f"{', '.join(intent['payment_method_types'])}."
        )
        raise errors.invalid(message, "payment_method")


def check_descriptor(descriptor: str | None, types: list[str]) -> None:
    """Refuse a full statement descriptor for a card, as Stripe does: it accepts only a suffix."""
    if descriptor and "card" in types:
        message = (
            "`statement_descriptor` is not supported for the `card` payment method type. Use "
            "`statement_descriptor_suffix` instead."
        )
        raise errors.invalid(message, "statement_descriptor")


def _approve(scope: Scope, intent: Json, method: Json, decision: Decision) -> None:
    manual = "manual" in (intent["capture_method"], _option(intent, method, "capture_method"))
    attempt = Attempt("succeeded", not manual, three_ds_result=decision.three_ds_result)
    charge = charges.create(scope, intent, method, attempt)
    intent.update(latest_charge=charge["id"], last_payment_error=None, processing=None)
    _remember_method(scope, intent, method)
    if manual:
        intent.update(status="requires_capture", amount_capturable=intent["amount"])
        events.emit(scope, "charge.succeeded", charge)
        events.emit(scope, "payment_intent.amount_capturable_updated", intent)
        scope.later(charges.HOLD_SECONDS, "expire_hold", intent=intent["id"], charge=charge["id"])
        return
    if intent["capture_method"] == "automatic":
        charges.settle(scope, charge)
    else:
        scope.later(charges.SETTLEMENT_SECONDS, "settle_charge", charge=charge["id"])
    intent.update(status="succeeded", amount_received=intent["amount"])
    events.emit(scope, "charge.succeeded", charge)
    events.emit(scope, "payment_intent.succeeded", intent)


def _option(intent: Json, method: Json, name: str) -> Any:
    """Return the intent's option of this name for this type of method, or None."""
    return (intent["payment_method_options"] or {}).get(method["type"], {}).get(name)


def _remember_method(scope: Scope, intent: Json, method: Json) -> None:
    own = _option(intent, method, "setup_future_usage")
    usage, customer = own or intent["setup_future_usage"], intent["customer"]
    if usage not in (None, "none") and customer and method["customer"] is None:
        payment_methods.attach(scope, method, customer)
        scope.note(method["id"])["set_up"] = usage == "off_session"


def _challenge(scope: Scope, intent: Json, method: Json) -> None:
    intent.update(status="requires_action", payment_method=method["id"])
    intent["next_action"] = next_action.for_challenge(scope, intent)
    events.emit(scope, "payment_intent.requires_action", intent)


def _decline(scope: Scope, intent: Json, method: Json, decision: Decision) -> None:
    attempt = Attempt("failed", False, decision.decline, decision.three_ds_result)
    charge = charges.create(scope, intent, method, attempt)
    intent["latest_charge"] = charge["id"]
    events.emit(scope, "charge.failed", charge)
    _give_back(scope, intent, _failure(charge, method, decision.decline))


def _failure(charge: Json, method: Json, decline: Any) -> Json:
    return errors.card_error(
        decline.code,
        decline.message,
        **decline.error_fields(),
        charge=charge["id"],
        payment_method=objects.copy_of(method),
    ).error


def _give_back(scope: Scope, intent: Json, failure: Json) -> None:
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error=failure,
    )
    events.emit(scope, "payment_intent.payment_failed", intent)


def _debit(scope: Scope, intent: Json, method: Json) -> None:
    charge = charges.create(scope, intent, method, Attempt("pending"))
    intent.update(status="processing", latest_charge=charge["id"], last_payment_error=None)
    _remember_method(scope, intent, method)
    events.emit(scope, "charge.pending", charge)
    events.emit(scope, "payment_intent.processing", intent)
    course = test_data.IBANS[scope.note(method["id"])["iban"]]
    scope.later(course.delay_seconds, "conclude_debit", intent=intent["id"], charge=charge["id"])


@job("conclude_debit")
def _conclude_debit(scope: Scope, args: Json) -> None:
    intent, charge = (
        scope.get("payment_intent", args["intent"]),
        scope.get("charge", args["charge"]),
    )
    if intent["status"] != "processing" or charge["status"] != "pending":
        return
    method = scope.get("payment_method", charge["payment_method"])
    if not test_data.IBANS[scope.note(method["id"])["iban"]].succeeds:
        charge.update(
            status="failed",
            failure_code=DEBIT_FAILED.code,
            failure_message=DEBIT_FAILED.message,
            captured=False,
            amount_captured=0,
            outcome=DEBIT_FAILED.outcome(),
        )
        events.emit(scope, "charge.failed", charge)
        _give_back(scope, intent, _failure(charge, method, DEBIT_FAILED))
        return
    charge.update(status="succeeded", paid=True)
    charges.show_receipt(scope, charge)
    charges.settle(scope, charge)
    intent.update(status="succeeded", amount_received=intent["amount"])
    events.emit(scope, "charge.succeeded", charge)
    events.emit(scope, "payment_intent.succeeded", intent)
