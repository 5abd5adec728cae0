"""The hosted checkout page: the line items, and the ways to pay.

A card number is posted only to the sandbox and is not stored: the first lines of `_entered` replace
it by a test card or a refusal.
"""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from sandbox.cards import card_numbers
from sandbox.checkout import sessions
from sandbox.objects import payment_methods
from sandbox.pages.rendering import go_to, page, render
from sandbox.world import errors, ids
from sandbox.world.errors import StripeError
from sandbox.world.objects import Json
from sandbox.world.world import Cause, Scope, World

READY_MADE: Final = (
    ("pm_card_visa", "Visa: pays"),
    ("pm_card_mastercard", "Mastercard: pays"),
    ("pm_card_threeDSecure2Required", "3D Secure: the cardholder must authenticate"),
    ("pm_card_chargeDeclined", "Declined"),
    ("pm_card_chargeDeclinedInsufficientFunds", "Declined: insufficient funds"),
    ("pm_card_chargeDeclinedExpiredCard", "Declined: expired card"),
    ("pm_card_threeDSecureRequiredChargeDeclined", "3D Secure, then declined"),
    ("pm_card_createDispute", "Pays, then disputed as fraudulent"),
    ("pm_card_createDisputeInquiry", "Pays, then an inquiry"),
    ("pm_card_pendingRefund", "Pays; refunds stay pending for a while"),
    ("pm_card_refundFail", "Pays; refunds succeed and then fail"),
)
EXPIRY: Final = re.compile(r"\s*(\d{1,2})\s*[/ -]?\s*(\d{2}|\d{4})\s*")
KEPT_FIELDS: Final = ("email", "name", "expiry")
"""Fields that a form shows again after a refusal: never the number, the CVC or the IBAN."""

Form = Mapping[str, str]


@page
async def _show(request: web.Request, world: World) -> web.StreamResponse:
    scope, session = _session(world, request.match_info["id"])
    if session["status"] == "complete" and "redirect_status" in request.query:
        return go_to(sessions.success_address(session) or request.path)
    failed = request.query.get("redirect_status") == "failed"
    return _page(scope, session, _failure(scope, session) if failed else None, {})


@page
async def _pay(request: web.Request, world: World) -> web.StreamResponse:
    scope, session = _session(world, request.match_info["id"])
    form = {key: str(value) for key, value in (await request.post()).items()}
    try:
        method = METHODS[form.pop("method", "")](scope, form)
        intent = sessions.pay(scope, session, method)
    except KeyError:
        return _page(scope, session, "Choose a way to pay.", form, HTTPStatus.BAD_REQUEST)
    except StripeError as refusal:
        world.on_change()
        status = HTTPStatus(refusal.status)
        return _page(scope, session, refusal.error["message"], form, status)
    world.on_change()
    if intent["status"] == "requires_action":
        return go_to(intent["next_action"]["redirect_to_url"]["url"])
    return go_to(sessions.success_address(session) or request.path)


def _session(world: World, session_id: str) -> tuple[Scope, Json]:
    account = world.owner_of(sessions.KIND, session_id)
    if account is None:
        raise errors.missing("checkout.session", session_id, "session")
    scope = world.scope(account.id, Cause(ids.new_id("request")))
    return scope, sessions.find(scope, session_id)


def _page(
    scope: Scope,
    session: Json,
    problem: str | None,
    form: Form,
    status: HTTPStatus = HTTPStatus.OK,
) -> web.Response:
    return render(
        "checkout.html",
        status,
        session=session,
        items=sessions.line_items(scope, session),
        problem=problem,
        entered={name: form.get(name, "") for name in KEPT_FIELDS},
        ready_made=READY_MADE,
    )


def _failure(scope: Scope, session: Json) -> str:
    """Return the intent's last error, which brought the payer back to this page."""
    intent = scope.find("payment_intent", session["payment_intent"])
    failure = intent["last_payment_error"] if intent else None
    return str(failure["message"]) if failure else "The payment was not completed."


def _ready_made(scope: Scope, form: Form) -> Json:
    method = payment_methods.resolve(scope, form.get("payment_method", ""))
    method["billing_details"].update(_billing(form))
    return method


def _entry(scope: Scope, form: dict[str, str]) -> Json:
    inputs: Json = {"type": "card", "card": {"number": form.pop("number", "")}}
    if form.get("cvc"):
        inputs["card"]["cvc"] = form.pop("cvc")
    card_numbers.conceal(inputs)
    expiry = EXPIRY.fullmatch(form.get("expiry", ""))
    if expiry is None:
        message = "Enter the expiry date as month and year, for example 12 / 34."
        raise errors.card_error("invalid_expiry_month", message, param="exp_month")
    inputs["card"] |= {"exp_month": int(expiry[1]), "exp_year": int(expiry[2])}
    inputs["billing_details"] = _billing(form)
    return payment_methods.create(scope, inputs)


def _debit(scope: Scope, form: dict[str, str]) -> Json:
    sepa = {"iban": form.pop("iban", "")}
    inputs = {"type": "sepa_debit", "sepa_debit": sepa, "billing_details": _billing(form)}
    return payment_methods.create(scope, inputs)


def _billing(form: Form) -> Json:
    return {name: form[name] for name in ("email", "name") if form.get(name)}


METHODS: Final[dict[str, Callable[[Scope, dict[str, str]], Json]]] = {
    "ready_made": _ready_made,
    "card": _entry,
    "sepa_debit": _debit,
}
_PATH: Final = "/_sandbox/checkout/{id}"
ROUTES: Final = (web.get(_PATH, _show), web.post(_PATH, _pay))
