"""No parameter is accepted and ignored: a played one changes the answer, or is listed here.

The test sends every played parameter of Stripe's description once, with what makes a request valid,
and compares the answer with the one without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from sandbox.routes import ROUTES
from sandbox.wire.call import Route
from sandbox.wire.params import Fields, NotSimulated
from tests import servers
from tests.contract.client import Api
from tests.contract.parameters import bare, document, documented, operation_of, properties
from tests.contract.purchases import authorize, create, pay
from tests.contract.side import SANDBOX_KEY
from tests.contract.test_parameters import INTENTS, SALE, SESSIONS

pytestmark = pytest.mark.fake_only(reason="many hundred calls that only the sandbox need bear")
Form = Mapping[str, Any]
ENDPOINT = {"url": "http://127.0.0.1:9/", "enabled_events[]": "*"}
OPEN = {"expand[]": "payment_method"}
RAW = {"card[number]": "4242424242424242", "card[exp_month]": 12, "card[exp_year]": 2034}

# Other keys that a part of a map requires.
COMPANIONS = {
    "shipping": {"shipping[name]": "J", "shipping[address][line1]": "1 Main Street"},
    "payment_method_data": {
        "payment_method_data[type]": "card",
        "payment_method_data[card][token]": "tok_visa",
    },
}
SAMPLES = {
    "email": "x@example.com",
    "receipt_email": "x@example.com",
    "customer_email": "x@example.com",
    "currency": "eur",
    "billing_scheme": "per_unit",
    "mode": "payment",
    "tax_behavior": "inclusive",
    "allow_redisplay": "always",
    "active": "false",
    "customer_creation": "always",
}
CHANGING = ("created", "updated", "expires_at", "capture_before", "due_by")
RANDOM = re.compile(
    r"\b[a-z]+_(?:test_)?[A-Za-z0-9_]{10,}|\b[0-9a-f]{16}\b"
    r'|"(?:invoice_prefix|authorization_code|network_transaction_id)": "\w+"'
    rf'|"(?:{"|".join(CHANGING)})": \d+'
)
# Parameters that do not change the answer, and where their effect is checked instead.
ELSEWHERE = {
    "automatic_payment_methods[enabled]": "true is what happens anyway",
    "billing_scheme": "only one is played",
    "connect": "which events come: test_accounts",
    "error_on_requires_action": "a card that asks for action: test_authentication",
    "excluded_payment_method_types[]": "which types a payer may take: test_parameters",
    "mandate_data[customer_acceptance][type]": "a debit's mandate",
    "mode": "one is played, the others are refused",
    "off_session": "a card that asks for action: test_cards",
    "payment_intent_data": "the session's intent: test_checkout",
    "return_url": "a card that asks for action: test_authentication",
    "type": "needed",
    "ui_mode": "needs other addresses: test_checkout",
    "use_stripe_sdk": "a card that asks for action: test_parameters",
    "payment_method_options[sepa_debit][setup_future_usage]": "debits only",
}


def dynamic(api: Api) -> str:
    return str(api.make(INTENTS, {"amount": 2000, "currency": "usd"})["id"])


def attached(api: Api) -> str:
    customer = api.make("/v1/customers", {})["id"]
    path = "/v1/payment_methods/pm_card_visa/attach"
    return str(api.make(path, {"customer": customer})["id"])


def disputed(api: Api) -> str:
    intent = pay(api, "pm_card_createDispute")
    disputes = api.find("/v1/disputes", {"payment_intent": intent["id"]})
    return str(disputes["data"][0]["id"])


# The form that makes a request valid, and the object that it is about.
BASES: dict[str, tuple[Callable[[Api], str], Callable[[Api], Form]]] = {
    INTENTS: (lambda _: "", lambda _: {"amount": 2000, "currency": "usd"} | OPEN),
    f"{INTENTS}/{{id}}": (dynamic, lambda _: OPEN),
    f"{INTENTS}/{{id}}/confirm": (
        lambda api: create(api)["id"],
        lambda _: {"payment_method": "pm_card_visa"} | OPEN,
    ),
    f"{INTENTS}/{{id}}/capture": (lambda api: authorize(api)["id"], lambda _: {}),
    f"{INTENTS}/{{id}}/cancel": (lambda api: create(api)["id"], lambda _: {}),
    "/v1/payment_methods": (lambda _: "", lambda _: {"type": "card", **RAW}),
    "/v1/payment_methods/{id}": (attached, lambda _: {}),
    "/v1/charges/{id}": (lambda api: pay(api)["latest_charge"], lambda _: {}),
    "/v1/refunds": (lambda _: "", lambda api: {"payment_intent": pay(api)["id"]}),
    "/v1/customers": (lambda _: "", lambda _: {}),
    "/v1/customers/{id}": (lambda api: api.make("/v1/customers", {})["id"], lambda _: {}),
    "/v1/webhook_endpoints": (lambda _: "", lambda _: ENDPOINT),
    "/v1/webhook_endpoints/{id}": (
        lambda api: api.make("/v1/webhook_endpoints", ENDPOINT)["id"],
        lambda _: {},
    ),
    "/v1/products": (lambda _: "", lambda _: {"name": "n"}),
    "/v1/prices": (
        lambda _: "",
        lambda _: {
            "product_data[name]": "n",
            "currency": "usd",
            "unit_amount": 1500,
            "expand[]": "product",
        },
    ),
    SESSIONS: (lambda _: "", lambda _: SALE | {"expand[]": "line_items.data.price.product"}),
    "/v1/disputes/{id}": (disputed, lambda _: {}),
}


@pytest.fixture(scope="module")
def own() -> Iterator[Api]:
    """Return a sandbox whose answers are not validated: they are only compared."""
    with servers.sandbox() as url:
        yield Api(url, SANDBOX_KEY)


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("pattern", BASES)
def test_what_is_played_is_seen(own: Api, pattern: str) -> None:
    route = next(r for r in ROUTES if (r.method, r.pattern) == ("POST", pattern))
    without = {head: answer(own, pattern, form) for head, form in {"": {}, **COMPANIONS}.items()}
    assert without[""][0] == 200, without[""]
    ignored = [
        path
        for path, value in played(route)
        if path not in ELSEWHERE
        and head_of(path) not in ELSEWHERE
        and answer(own, pattern, beside(path, value)) == without.get(head_of(path), without[""])
    ]
    assert ignored == []


def head_of(path: str) -> str:
    return path.split("[", maxsplit=1)[0]


def beside(path: str, value: object) -> Form:
    """Return a form with a parameter and the keys that it requires."""
    return {**COMPANIONS.get(head_of(path), {}), path: value}


def answer(api: Api, pattern: str, form: Form) -> tuple[int, str]:
    """Send a form; return the status, and the answer without values that differ each time."""
    object_id, base = BASES[pattern]
    got = api.post(pattern.replace("{id}", object_id(api)), {**base(api), **form})
    return got.status, RANDOM.sub("", json.dumps(got.body, sort_keys=True))


def played(route: Route) -> Iterator[tuple[str, object]]:
    for name, schema in sorted(documented(document(), operation_of(document(), route))):
        if name != "expand":
            yield from _leaves(route.spec, name, schema)


def _leaves(
    spec: Mapping[str, Any], name: str, schema: Any, prefix: str = ""
) -> Iterator[tuple[str, object]]:
    path = f"{prefix}[{name}]" if prefix else name
    parser = bare(spec[name])
    if isinstance(parser, NotSimulated):
        return
    inside, index = properties(schema), "[0]" if _is_array(schema) else ""
    if isinstance(parser, Fields) and inside:
        for inner, inner_schema in sorted(inside.items()):
            yield from _leaves(parser.spec, inner, inner_schema, path + index)
        return
    if name == "metadata":
        path += "[key]"
    yield path + ("[]" if index else ""), _sample(name, schema)


def _is_array(schema: Any) -> bool:
    return any(part.get("type") == "array" for part in (schema, *schema.get("anyOf", ())))


def _sample(name: str, schema: Any) -> object:
    """Return an allowed value of a parameter that is not its default."""
    if name in SAMPLES:
        return SAMPLES[name]
    for part in (schema, *schema.get("anyOf", ())):
        if part.get("type") == "array":
            return _sample(name, part["items"])
        choices = [choice for choice in part.get("enum", ()) if choice]
        if choices:
            return choices[-1]
        if part.get("type") in ("boolean", "integer"):
            return {"boolean": "true", "integer": 777}[part["type"]]
    return "sample"
