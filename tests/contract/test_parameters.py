"""Each parameter that Stripe documents is played or refused by name, never accepted and ignored.

`parameters.txt` has the decisions. Write it again after a decision:
`python -m tests.contract.parameters > tests/contract/parameters.txt`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox.routes import ROUTES
from sandbox.wire.params import Fields, NotSimulated, RefusedLater
from sandbox.world.errors import StripeError
from tests.contract.client import Api
from tests.contract.conftest import ENDIVE
from tests.contract.parameters import REFUSED, UNKNOWN, bare, decisions, document
from tests.contract.purchases import RETURN_URL, authorize, create, pay, try_to_pay
from tests.contract.side import Side

PARAMETERS = Path(__file__).with_name("parameters.txt")
INTENTS, SESSIONS = "/v1/payment_intents", "/v1/checkout/sessions"
FORM = {"amount": 500, "currency": "usd"}
SALE = {
    "mode": "payment",
    "success_url": "https://example.com/ok",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": 1500,
    "line_items[0][price_data][product_data][name]": "ticket",
    "line_items[0][quantity]": 1,
}
mine = pytest.mark.fake_only(reason="what the sandbox leaves out, Stripe has")


@mine
def test_every_documented_parameter_is_decided(prepared: Path) -> None:
    decided = list(decisions(document()))
    assert [line for line in decided if line.startswith(UNKNOWN)] == []
    assert decided == PARAMETERS.read_text().splitlines(), (
        "if that is right, see this file's docstring"
    )


@mine
def test_every_refused_parameter_names_itself() -> None:
    checked = 0
    for route in ROUTES:
        for name, parser in refused_in(route.spec):
            with pytest.raises(StripeError) as refusal:
                parser("anything at all", name)
            assert f"`{name}` is not simulated" in refusal.value.error["message"]
            assert refusal.value.error["param"] == name
            checked += 1
    assert (
        checked > sum(line.startswith(REFUSED) for line in PARAMETERS.read_text().splitlines()) / 2
    )


def refused_in(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, NotSimulated]]:
    for name, rule in spec.items():
        path = f"{prefix}[{name}]" if prefix else name
        parser = bare(rule)
        if isinstance(parser, NotSimulated) and not isinstance(parser, RefusedLater):
            yield path, parser
        elif isinstance(parser, Fields):
            yield from refused_in(parser.spec, path)


@mine
@pytest.mark.parametrize(
    ("path", "form", "param"),
    [
        (INTENTS, {"confirmation_token": "ctoken_1"}, "confirmation_token"),
        (INTENTS, {"payment_method_configuration": "pmc_1"}, "payment_method_configuration"),
        (
            INTENTS,
            {"payment_method_options[card][moto]": "true"},
            "payment_method_options[card][moto]",
        ),
        (INTENTS, {"payment_method_data[ideal][bank]": "ing"}, "payment_method_data[ideal]"),
        (SESSIONS, {"discounts[0][coupon]": "ten"}, "discounts"),
        (SESSIONS, {"shipping_options[0][shipping_rate]": "shr_1"}, "shipping_options"),
        (SESSIONS, {"automatic_tax[enabled]": "true"}, "automatic_tax"),
        (SESSIONS, {"allow_promotion_codes": "true"}, "allow_promotion_codes"),
        ("/v1/payment_methods", {"type": "klarna"}, "type=klarna"),
    ],
)
def test_what_is_not_simulated_says_so(
    api: Api, path: str, form: dict[str, str], param: str
) -> None:
    needed = {INTENTS: FORM, SESSIONS: SALE}.get(path, {})
    refusal = api.post(path, needed | form)
    assert (refusal.status, refusal.error["param"]) == (400, param)
    assert refusal.error["message"] == f"The parameter `{param}` is not simulated by this sandbox."


def test_what_is_off_may_be_said(api: Api) -> None:
    off = {"automatic_tax[enabled]": "false", "phone_number_collection[enabled]": "false"}
    assert api.make(SESSIONS, SALE | off)["automatic_tax"]["enabled"] is False
    api.make(INTENTS, FORM | {"payment_method_options[card][moto]": "false"})


@pytest.mark.parametrize("name", ["on_behalf_of", "transfer_data[destination]"])
def test_an_unknown_account_is_no_destination(api: Api, name: str) -> None:
    for path, form, prefix in ((INTENTS, FORM, ""), (SESSIONS, SALE, "payment_intent_data")):
        head, bracket, tail = name.partition("[")
        full = f"{prefix}[{head}]{bracket}{tail}" if prefix else name
        refusal = api.post(path, form | {full: "acct_nobody"})
        assert (refusal.status, refusal.error["code"]) == (400, "resource_missing")
        assert refusal.error["message"] == "No such destination: 'acct_nobody'"
        assert refusal.error["param"] == full


@mine
@pytest.mark.parametrize("name", ["on_behalf_of", "transfer_data[destination]"])
def test_money_for_another_account_is_not_simulated(api: Api, name: str) -> None:
    account = api.make("/v1/accounts", {"type": "express"})["id"]
    refusal = api.post(INTENTS, FORM | {name: account})
    assert (refusal.status, refusal.error["param"]) == (400, name)
    assert "not simulated" in refusal.error["message"]


def test_a_card_option_holds_the_money(api: Api) -> None:
    hold = pay(api, **{"payment_method_options[card][capture_method]": "manual"})
    assert (hold["status"], hold["amount_capturable"]) == ("requires_capture", 2000)
    capture = api.make(f"{INTENTS}/{hold['id']}/capture")
    assert capture["status"] == "succeeded"


def test_a_card_option_saves_the_method(api: Api) -> None:
    customer = api.make("/v1/customers", {})["id"]
    option = "payment_method_options[card][setup_future_usage]"
    saved = pay(api, customer=customer, **{option: "off_session"})
    assert api.find(f"/v1/payment_methods/{saved['payment_method']}")["customer"] == customer
    unsaved = pay(api, customer=customer, setup_future_usage="off_session", **{option: "none"})
    assert api.find(f"/v1/payment_methods/{unsaved['payment_method']}")["customer"] is None


def test_a_capture_is_final(api: Api) -> None:
    path = f"{INTENTS}/{authorize(api)['id']}/capture"
    refusal = api.post(path, {"amount_to_capture": 500, "final_capture": "false"})
    assert (refusal.status, refusal.error["param"]) == (400, "final_capture")
    capture = api.make(path, {"final_capture": "true", "statement_descriptor_suffix": "LATER"})
    assert capture["statement_descriptor_suffix"] == "LATER"


def test_stripes_script_is_asked_for(api: Api) -> None:
    form = {"return_url": RETURN_URL, "use_stripe_sdk": "true"}
    attempt = try_to_pay(api, "pm_card_authenticationRequired", **form).body
    assert attempt["next_action"]["type"] == "use_stripe_sdk"


def test_a_client_secret_is_of_its_intent(api: Api) -> None:
    intent, other = create(api), create(api)
    own = api.get(f"{INTENTS}/{intent['id']}", {"client_secret": intent["client_secret"]})
    assert own.status == 200
    wrong = api.get(f"{INTENTS}/{intent['id']}", {"client_secret": other["client_secret"]})
    assert (wrong.status, wrong.error["param"]) == (400, "client_secret")


def test_types_can_be_restricted_later(api: Api) -> None:
    intent = api.make(INTENTS, FORM | {"currency": "eur"})
    assert "sepa_debit" in intent["payment_method_types"]
    form = {"excluded_payment_method_types[]": "sepa_debit"}
    changed = api.make(f"{INTENTS}/{intent['id']}", form)
    assert changed["payment_method_types"] == ["card", "link"]


def test_a_session_hands_its_options_to_the_intent(api: Api) -> None:
    option = {"payment_method_options[card][request_three_d_secure]": "any"}
    session = api.make(SESSIONS, SALE | option)
    assert session["payment_method_options"]["card"]["request_three_d_secure"] == "any"


def test_charges_are_found_by_their_group(api: Api) -> None:
    intent = pay(api, transfer_group="evening")
    pay(api)
    [charge] = api.find("/v1/charges", {"transfer_group": "evening"})["data"]
    assert charge["payment_intent"] == intent["id"]


@pytest.mark.parametrize("kind", ["charges", "payment_intents", "customers", "products"])
def test_search_is_no_id(api: Api, kind: str) -> None:
    answer = api.get(f"/v1/{kind}/search", {"query": "amount>5"})
    assert answer.status == 404
    assert answer.error["message"].startswith(f"Unrecognized request URL (GET: /v1/{kind}/search)")
    assert "not simulated" in answer.error["message"]


@pytest.mark.parametrize("path", ["/v1/setup_intents", "/v1/subscriptions", "/v1/payouts/po_1"])
def test_what_stripe_has_beside_payments_names_itself(api: Api, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, "not simulated" in answer.error["message"]) == (404, True)
    assert "not simulated" not in api.get("/v1/nonsense").error["message"]


def test_a_beta_behind_the_version_is_no_other_version(api: Api, side: Side) -> None:
    answer = api.get("/v1/refunds", Stripe_Version=f"{ENDIVE}; some_beta=v1;other_beta=v2")
    assert (answer.status, answer.headers["Stripe-Version"]) == (200, ENDIVE)
    for wrong in ("2031-01-01.quince; some_beta=v1", f"{ENDIVE}; nonsense"):
        assert api.get("/v1/refunds", Stripe_Version=wrong).status == 400
