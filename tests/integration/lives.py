"""Lives of payments, played at the sandbox: Stripe's events about each, from first to last.

Between two steps of a life the sandbox's clock moves, so that later events have later seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sandbox.events_out.event_forms import in_version
from shared.stripe.gateway import API_VERSION
from tests.contract.client import Api

Json = dict[str, Any]
KEY = "sk_test_tests_0123456789"
METADATA = {"metadata[event_id]": "evening", "metadata[user_id]": "u1"}
# Stripe's test IBANs: the debit succeeds or fails after a while.
GOOD_IBAN, BAD_IBAN = "AT611904300234573201", "AT861904300235473202"
# Longer than anything that the sandbox does by itself, except the expiry of a hold.
A_WHILE_SECONDS: Final = 20
HOLD_EXPIRES_SECONDS: Final = 8 * 86_400


class Stripe:
    """The sandbox, as a customer, a bank and a merchant use it."""

    def __init__(self, url: str) -> None:
        self.api = Api(url, KEY)

    def wait(self, seconds: float = A_WHILE_SECONDS) -> None:
        """Let time pass; what becomes due happens."""
        self.control("clock", advance_seconds=seconds)

    def control(self, path: str, **body: object) -> Json:
        """Call a control route of the sandbox, for what Stripe's API cannot do."""
        answer = self.api._session.post(f"{self.api.base_url}/_sandbox/{path}", json=body)
        answer.raise_for_status()
        response: Json = answer.json()
        return response

    def intent(self, method: str | None = "pm_card_visa", **form: Any) -> Json:
        """Make a payment intent of 10.00, and confirm it if a method is given."""
        form = {"amount": 1000, "currency": "sgd", "receipt_email": "a@b.sg"} | METADATA | form
        form |= {"payment_method_types[]": form.pop("types", "card")}
        if method:
            form |= {"payment_method": method, "confirm": "true"}
        answer = self.api.post("/v1/payment_intents", form)
        answer_object: Json = answer.body.get("error", {}).get("payment_intent") or answer.body
        self.wait()
        return answer_object

    def confirm(self, intent: Json, method: str) -> None:
        """Try to pay an intent; a decline raises no error here."""
        self.api.post(f"/v1/payment_intents/{intent['id']}/confirm", {"payment_method": method})
        self.wait()

    def make(self, path: str, **form: Any) -> Json:
        """Make an object, let some time pass, and return it as it was made."""
        result = self.api.make(path, form)
        self.wait()
        return result

    def debit(self, iban: str) -> Json:
        """Make a payment by bank debit, which is processing until time passes."""
        form = {
            "payment_method_data[type]": "sepa_debit",
            "payment_method_data[sepa_debit][iban]": iban,
            "payment_method_data[billing_details][name]": "Jenny Rosen",
            "payment_method_data[billing_details][email]": "jenny@example.com",
            "mandate_data[customer_acceptance][type]": "offline",
            "payment_method_types[]": "sepa_debit",
            "amount": 1000,
            "currency": "eur",
            "confirm": "true",
        }
        return self.api.make("/v1/payment_intents", form | METADATA)

    def session(self, currency: str = "sgd", **form: Any) -> Json:
        """Open a checkout for one seat of 15.00."""
        item = "line_items[0][price_data]"
        seat = {
            f"{item}[currency]": currency,
            f"{item}[unit_amount]": 1500,
            f"{item}[product_data][name]": "seat",
            "line_items[0][quantity]": 1,
            "success_url": "https://shop.example/thanks",
            "mode": "payment",
            **{f"payment_intent_data[{name[:8]}]{name[8:]}": v for name, v in METADATA.items()},
        }
        opened = self.api.make("/v1/checkout/sessions", seat | METADATA | form)
        self.wait(2)
        return opened

    def check_out(self, session: Json, **method: Any) -> None:
        """Pay an open checkout as its page does."""
        person = {
            "billing_details[name]": "Jenny Rosen",
            "billing_details[email]": "jenny@example.com",
        }
        payment_method = self.api.make("/v1/payment_methods", person | method)
        parameters = {"payment_method": payment_method["id"], "expected_amount": 1500}
        self.api.post(f"/v1/payment_pages/{session['id']}/confirm", parameters)
        self.wait()

    def dispute(self, evidence: str | None = None) -> Json:
        """Return the only dispute; answer it with evidence if evidence is given."""
        [answer_object] = self.api.find("/v1/disputes")["data"]
        if evidence:
            path = f"/v1/disputes/{answer_object['id']}"
            self.make(path, **{"evidence[uncategorized_text]": evidence})
        return dict(answer_object)

    def events(self) -> list[Json]:
        """List every event, oldest first, as an endpoint of our API version gets it."""
        listing = self.api.find("/v1/events", {"limit": 100})
        assert not listing["has_more"]
        return [in_version(event, API_VERSION) for event in reversed(listing["data"])]


def plain_payment(stripe: Stripe) -> None:
    stripe.intent()


def declined_then_paid(stripe: Stripe) -> None:
    intent = stripe.intent(None)
    stripe.confirm(intent, "pm_card_chargeDeclined")
    stripe.confirm(intent, "pm_card_chargeDeclinedInsufficientFunds")
    stripe.confirm(intent, "pm_card_visa")


def paid_with_3d_secure(stripe: Stripe) -> None:
    intent = stripe.intent(None)
    for outcome in ("fail", "complete"):
        stripe.confirm(intent, "pm_card_threeDSecure2Required")
        stripe.control(f"payment_intents/{intent['id']}/authenticate", outcome=outcome)
        stripe.wait()


def paid_by_debit(stripe: Stripe) -> None:
    stripe.debit(GOOD_IBAN)
    stripe.wait()


def refunded_in_parts(stripe: Stripe) -> None:
    intent = stripe.intent("pm_card_pendingRefund")
    for amount in (300, 200):
        stripe.make("/v1/refunds", payment_intent=intent["id"], amount=amount)


def refunded_at_once(stripe: Stripe) -> None:
    intent = stripe.intent()
    for amount in (300, 700):
        stripe.make("/v1/refunds", payment_intent=intent["id"], amount=amount)


def refunded_in_vain(stripe: Stripe) -> None:
    intent = stripe.intent("pm_card_refundFail")
    stripe.make("/v1/refunds", payment_intent=intent["id"], amount=400)


def warned_and_refunded(stripe: Stripe) -> None:
    intent = stripe.intent("pm_card_createIssuerFraudRecord")
    stripe.make("/v1/refunds", payment_intent=intent["id"])


def reviewed(stripe: Stripe) -> None:
    intent = stripe.intent()
    review = stripe.control("reviews", payment_intent=intent["id"])
    stripe.wait()
    stripe.control(f"reviews/{review['id']}/close", reason="approved")
    stripe.wait()


def dispute_won(stripe: Stripe) -> None:
    stripe.intent("pm_card_createDispute")
    stripe.dispute("winning_evidence")


def dispute_lost(stripe: Stripe) -> None:
    stripe.intent("pm_card_createDispute")
    stripe.dispute("losing_evidence")


def inquiry_escalated(stripe: Stripe) -> None:
    stripe.intent("pm_card_createDisputeInquiry")
    dispute = stripe.dispute("escalate_inquiry_evidence")
    stripe.make(f"/v1/disputes/{dispute['id']}/close")


def checkout_with_debit(stripe: Stripe) -> None:
    session = stripe.session("eur", **{"payment_method_types[]": "sepa_debit"})
    stripe.check_out(session, **{"type": "sepa_debit", "sepa_debit[iban]": GOOD_IBAN})


def checkout_with_failing_debit(stripe: Stripe) -> None:
    session = stripe.session("eur", **{"payment_method_types[]": "sepa_debit"})
    stripe.check_out(session, **{"type": "sepa_debit", "sepa_debit[iban]": BAD_IBAN})


def checkout_with_card(stripe: Stripe) -> None:
    card = {"card[number]": "4242424242424242", "card[exp_month]": 12, "card[exp_year]": 2030}
    stripe.check_out(stripe.session(), type="card", **card, **{"card[cvc]": "123"})


def checkout_expired(stripe: Stripe) -> None:
    session = stripe.session()
    stripe.make(f"/v1/checkout/sessions/{session['id']}/expire")


def hold_captured(stripe: Stripe) -> None:
    intent = stripe.intent(capture_method="manual")
    stripe.make(f"/v1/payment_intents/{intent['id']}/capture", amount_to_capture=600)


def hold_canceled(stripe: Stripe) -> None:
    intent = stripe.intent(capture_method="manual")
    stripe.make(f"/v1/payment_intents/{intent['id']}/cancel")


def hold_expired(stripe: Stripe) -> None:
    stripe.intent(capture_method="manual")
    stripe.wait(HOLD_EXPIRES_SECONDS)


def live(url: str, course: Callable[[Stripe], None]) -> list[Json]:
    """Play one life at an empty sandbox; return Stripe's events about it, oldest first."""
    stripe = Stripe(url)
    course(stripe)
    return [event for event in stripe.events() if event["type"].split(".")[0] in FAMILIES]


FAMILIES = ("payment_intent", "charge", "refund", "checkout", "radar", "review")
