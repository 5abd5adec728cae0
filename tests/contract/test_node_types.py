"""A second validation, at the newest version: the Node SDK's types and the TypeScript compiler.

The OpenAPI description is of a dahlia version. The SDKs' types are of endive: they name every key
that an answer always has, and forbid unknown keys in an object literal. Prices are left out,
because the SDK converts their decimals, which are strings on the wire, to objects.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.contract.client import Api
from tests.contract.purchases import RETURN_URL
from tests.contract.side import Side

COMPILER_LIMIT_SECONDS = 60
SETTINGS = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "module": "nodenext",
        "moduleResolution": "nodenext",
        "target": "es2022",
        "types": [],
    },
    "files": ["answers.ts"],
}
CARD = {
    "currency": "usd",
    "amount": 2000,
    "confirm": "true",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}


def test_answers_fit_the_node_sdks_types(
    endive: Api, side: Side, node_sdk: Path, tmp_path: Path
) -> None:
    answers = gathered(endive, side)
    (tmp_path / "node_modules").symlink_to(node_sdk / "node_modules")
    (tmp_path / "tsconfig.json").write_text(json.dumps(SETTINGS))
    lines = [
        f"export const {name}: Stripe.{kind} = {json.dumps(answer)};"
        for name, (kind, answer) in answers.items()
    ]
    (tmp_path / "answers.ts").write_text("\n".join(["import Stripe from 'stripe';", *lines]))
    judged = subprocess.run(
        [str(node_sdk / "node_modules/.bin/tsc"), "-p", str(tmp_path), "--pretty", "false"],
        capture_output=True,
        text=True,
        timeout=COMPILER_LIMIT_SECONDS,
        check=False,
    )
    complaints = [without_types(line, list(answers)) for line in judged.stdout.splitlines()]
    assert not complaints, "\n" + "\n".join(complaints)


def without_types(complaint: str, names: list[str]) -> str:
    """Replace line numbers by the names of the answers."""
    match = re.search(r"\((\d+),\d+\): (.*)", complaint)
    return f"{names[int(match[1]) - 2]}: {match[2]}" if match else complaint


def gathered(endive: Api, side: Side) -> dict[str, tuple[str, Any]]:
    """Return answers of every kind and in many states, each with the name of its type."""
    payment = endive.make(
        "/v1/payment_intents",
        CARD | {"payment_method": "pm_card_visa", "expand[]": "latest_charge.balance_transaction"},
    )
    refund = endive.make("/v1/refunds", {"payment_intent": payment["id"], "amount": 500})
    disputed = endive.make(
        "/v1/payment_intents", CARD | {"payment_method": "pm_card_createDispute"}
    )
    disputes = side.eventually(
        list_of(endive, "/v1/disputes", payment_intent=disputed["id"]), "the dispute"
    )
    charge = side.eventually(
        settled(endive, payment["latest_charge"]["id"]), "the charge to settle"
    )
    # A Stripe account needs Connect to create other accounts.
    connected = {"connected": ("Account", endive.make("/v1/accounts"))} if side.is_fake else {}
    return (
        connected
        | (of_banks(endive, side, payment) if side.is_fake else {})
        | {
            "created": (
                "PaymentIntent",
                endive.make("/v1/payment_intents", {"amount": 500, "currency": "usd"}),
            ),
            "paid": ("PaymentIntent", payment),
            "held": ("PaymentIntent", confirmed(endive, "pm_card_visa", capture_method="manual")),
            "acting": ("PaymentIntent", confirmed(endive, "pm_card_threeDSecure2Required")),
            "redirected": ("PaymentIntent", redirected(endive)),
            "declined": ("PaymentIntent", declined(endive)),
            "debited": ("PaymentIntent", debited(endive)),
            "charge": ("Charge", charge),
            "transaction": ("BalanceTransaction", charge["balance_transaction"]),
            "refund": ("Refund", refund),
            "dispute": ("Dispute", disputes[0]),
            "checkout": ("Checkout.Session", checkout(endive)),
            "method": (
                "PaymentMethod",
                endive.find(f"/v1/payment_methods/{payment['payment_method']}"),
            ),
            "customer": ("Customer", endive.make("/v1/customers", {"email": "jenny@example.com"})),
            "product": ("Product", endive.make("/v1/products", {"name": "seat"})),
        }
    )


def of_banks(endive: Api, side: Side, payment: Any) -> dict[str, tuple[str, Any]]:
    """Return objects that only a bank or Radar can cause."""
    owner = {"payment_intent": payment["id"]}
    warning: Any = side.control("early_fraud_warnings", **owner)
    review: Any = side.control("reviews", **owner)
    abroad = confirmed(endive, "pm_card_visa", currency="eur")
    side.eventually(settled(endive, abroad["latest_charge"]), "the charge to settle")
    match = endive.find(
        f"/v1/charges/{abroad['latest_charge']}", {"expand[]": "balance_transaction"}
    )
    return {
        "warning": (
            "Radar.EarlyFraudWarning",
            endive.find(f"/v1/radar/early_fraud_warnings/{warning['id']}"),
        ),
        "review": ("Review", endive.find(f"/v1/reviews/{review['id']}")),
        "converted": ("BalanceTransaction", match["balance_transaction"]),
        "balance": ("Balance", endive.find("/v1/balance")),
    }


def confirmed(endive: Api, method: str, **form: Any) -> Any:
    """Make a payment in one call."""
    return endive.make("/v1/payment_intents", CARD | {"payment_method": method} | form)


def redirected(endive: Api) -> Any:
    """Make a payment with a challenge by redirect."""
    form = {"currency": "usd", "amount": 2000, "confirm": "true", "return_url": RETURN_URL}
    return endive.make(
        "/v1/payment_intents", form | {"payment_method": "pm_card_threeDSecure2Required"}
    )


def declined(endive: Api) -> Any:
    """Return the intent of a decline."""
    form = CARD | {"payment_method": "pm_card_chargeDeclined"}
    error = endive.post("/v1/payment_intents", form).error
    return endive.find(f"/v1/payment_intents/{error['payment_intent']['id']}")


def debited(endive: Api) -> Any:
    """Return an intent whose debit is processing."""
    return endive.make(
        "/v1/payment_intents",
        {
            "amount": 2000,
            "currency": "eur",
            "confirm": "true",
            "return_url": RETURN_URL,
            "payment_method_data[type]": "sepa_debit",
            "payment_method_data[sepa_debit][iban]": "AT611904300234573201",
            "payment_method_data[billing_details][name]": "Jenny Rosen",
            "payment_method_data[billing_details][email]": "jenny@example.com",
            "mandate_data[customer_acceptance][type]": "offline",
        },
    )


def checkout(endive: Api) -> Any:
    """Open a checkout."""
    return endive.make(
        "/v1/checkout/sessions",
        {
            "mode": "payment",
            "success_url": "https://example.com/ok",
            "line_items[0][price_data][currency]": "usd",
            "line_items[0][price_data][unit_amount]": 1500,
            "line_items[0][price_data][product_data][name]": "seat",
            "line_items[0][quantity]": 1,
        },
    )


def list_of(endive: Api, path: str, **params: str) -> Callable[[], list[Any]]:
    """Return a function that reads a list."""
    return lambda: list(endive.find(path, params)["data"])


def settled(endive: Api, charge: str) -> Callable[[], dict[str, Any] | None]:
    """Return a function that reads a charge as soon as it has settled."""

    def look() -> dict[str, Any] | None:
        now = endive.find(f"/v1/charges/{charge}", {"expand[]": "balance_transaction"})
        return now if now["balance_transaction"] else None

    return look
