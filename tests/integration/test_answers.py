"""Every answer has exactly the fields that the stored contract names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.models import Output
from shared.keys import ITEM_FIELDS
from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.dead_letters import INTERNAL
from shared.work.kinds import EVENTS
from tests.conventions.tracked import ROOT
from tests.integration.doors import open_door
from tests.integration.hands import Hands
from tests.integration.test_dead_letters import bury, dead_refund
from tests.servers import wait_until

Json = dict[str, Any]
CONTRACT: Json = json.loads((ROOT / "docs" / "api" / "openapi.json").read_text())
IN_BYTES = ("/health", "/api/webhook")
SCHEMAS: Json = CONTRACT["components"]["schemas"]


class Witness:
    """Call the service and compare its answers with the contract."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.schemas_used: set[str] = set()

    def get(self, rule: str, status: int = 200, **query: Any) -> Json:
        """Send a GET; `{name}` in the path is filled from the query."""
        return self._call("get", rule, status, query_string=query)

    def post(self, rule: str, status: int = 200, body: Json | None = None, **ids: str) -> Json:
        return self._call("post", rule, status, json=body or {}, query_string=ids)

    def _call(self, method: str, rule: str, status: int, **options: Any) -> Json:
        query = options.pop("query_string")
        path = rule.format(**query)
        rest = {name: value for name, value in query.items() if f"{{{name}}}" not in rule}
        answer = self.client.open(path, method=method.upper(), query_string=rest, **options)
        assert answer.status_code == status, answer.text
        responses = CONTRACT["paths"][rule][method]["responses"]
        body: Json = answer.get_json()
        self._hold(responses[str(status)]["content"]["application/json"]["schema"], body)
        return body

    def _hold(self, schema: Json, value: Any) -> None:
        """Compare the names of every object's fields with those of its schema."""
        if "anyOf" in schema and value is not None:
            (schema,) = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self.schemas_used.add(name)
            schema = SCHEMAS[name]
        if "properties" in schema:
            assert set(value) == set(schema["properties"]), schema["title"]
            for field, own in schema["properties"].items():
                self._hold(own, value[field])
        elif schema.get("type") == "array":
            for one in value or []:
                self._hold(schema["items"], one)


@pytest.fixture
def witness(client: FlaskClient) -> Witness:
    return Witness(client)


PAY = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


def test_every_answer_has_the_fields_of_its_contract(
    witness: Witness, hands: Hands, real_store: Store
) -> None:
    payment = witness.post("/api/payment/process", body=PAY)["payment_intent_id"]
    job = witness.post("/api/refund/process", 202, {"payment_intent_id": payment, "amount": 100})[
        "refund_request_id"
    ]
    hands.work()
    hands.deliver_events()
    hands.work()
    witness.get("/api/payment/{payment_intent_id}", payment_intent_id=payment)
    witness.post("/api/payment/verify", body={"payment_intent_id": payment})
    refund = witness.get("/api/refund/{refund_id}", refund_id=job)["refund_id"]
    witness.post("/api/refund/verify", body={"refund_id": refund})
    witness.get("/health/ready")
    of_other_payments(witness, hands)
    of_operations(witness, payment, refund)
    of_batches(witness, hands)
    of_dead_letters(witness, hands, real_store)
    missing = ", ".join(sorted(set(documented()) - witness.schemas_used))
    assert not missing


def of_other_payments(witness: Witness, hands: Hands) -> None:
    rule = "/api/payment/{payment_intent_id}"
    unpaid = hands.pay("pm_card_threeDSecure2Required").get_json()["payment_intent_id"]
    witness.post(f"{rule}/cancel", payment_intent_id=unpaid)
    disputed = hands.pay("pm_card_createDispute").get_json()["payment_intent_id"]
    assert witness.get(rule, payment_intent_id=disputed)["disputes"]


def of_batches(witness: Witness, hands: Hands) -> None:
    of_event = {"metadata": {"event_id": "gala"}}
    payment = hands.pay(**of_event).get_json()["payment_intent_id"]
    hands.pay("pm_card_threeDSecure2Required", **of_event)
    hands.deliver_events()
    hands.work()
    assert len(witness.get("/api/payments", event_id="gala")["data"]) == 2
    wait_until(partial(fee_is_known, witness, hands), "Stripe's event with the fee")
    start = {"event_id": "gala"}
    tried = witness.post("/api/refund/batches", body=start | {"dry_run": True})
    assert (tried["payments"], len(tried["left_out_payments"])) == (1, 1)
    unknown = {"event_id": "no-such-event", "dry_run": True}
    assert witness.post("/api/refund/batches", body=unknown)["refusal"]
    batch = witness.post("/api/refund/batches", 202, start)["batch_id"]
    rule = "/api/refund/batches/{batch_id}"
    for action in ("pause", "resume", "cancel"):
        witness.post(f"{rule}/{action}", batch_id=batch)
    witness.get(rule, batch_id=batch)
    assert witness.get("/api/refund/batches")["data"]
    members = witness.get(f"{rule}/refunds", batch_id=batch)["data"]
    assert payment in [member["payment_id"] for member in members]


def fee_is_known(witness: Witness, hands: Hands) -> bool:
    hands.deliver_events()
    hands.work()
    return bool(witness.get("/ops/payment-sums")["settled"])


def of_operations(witness: Witness, payment: str, refund: str) -> None:
    witness.get("/ops/service")
    witness.get("/ops/settings")
    witness.get("/schemas/notifications")
    witness.get("/ops/refunds/{refund_id}", refund_id=refund)
    event = witness.get("/ops/events")["data"][0]["id"]
    witness.get("/ops/items/{item_id}", item_id=event)
    witness.post("/ops/items/{item_id}/redrive", item_id=event)
    witness.get("/ops/payments/{payment_id}", payment_id=payment)
    witness.get("/ops/payments/{payment_id}/work", payment_id=payment)
    witness.get("/ops/queues")
    witness.post("/ops/reconcile", 202)
    witness.get("/ops/reconcile")
    witness.get("/ops/audit")
    witness.get("/ops/rates")
    for text in (payment, event):
        assert witness.get("/ops/find", text=text)["data"][0]["id"] == text
    witness.post("/ops/notifications/test", 202)
    for names in ("/ops/payments", "/ops/refunds", "/ops/notifications"):
        assert witness.get(names)["data"]


def of_dead_letters(witness: Witness, hands: Hands, store: Store) -> None:
    _, job = dead_refund(hands, refund_exists=False)
    bury(store, "evt_dead")
    assert witness.get("/ops/dead-letters")["data"]
    witness.post("/ops/dead-letters/redrive", body={"ids": ["evt_dead"]})
    witness.post("/ops/refunds/{job}/resolve", body={"failed": True}, job=job)


def documented() -> Iterator[str]:
    """Name every schema of a 2xx answer, except those with promised bytes."""
    operations = [of.values() for path, of in CONTRACT["paths"].items() if path not in IN_BYTES]
    for operation in itertools.chain.from_iterable(operations):
        good = {s: r for s, r in operation["responses"].items() if s[0] == "2"}
        for response in good.values():
            yield from _schema_names(response.get("content", {}).get("application/json"))


def _schema_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict) and "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield name
        yield from _schema_names(SCHEMAS[name])
    elif isinstance(schema, dict | list):
        for part in schema.values() if isinstance(schema, dict) else schema:
            yield from _schema_names(part)


def test_a_payment_is_answered_with_what_stripe_holds(hands: Hands) -> None:
    metadata = {"event_id": "7", "user_id": "u-1"}
    first_answer = hands.pay(metadata=metadata, customer_email="kim@example.com").get_json()
    payment = first_answer["payment_intent_id"]
    assert (
        first_answer.items()
        >= {
            "success": True,
            "status": "succeeded",
            "requires_action": False,
            "next_action": None,
            "amount": 1000,
            "currency": "sgd",
            "livemode": False,
            "metadata": metadata,
        }.items()
    )
    assert first_answer["client_secret"].startswith(f"{payment}_secret_")
    assert first_answer["charge_id"].startswith("ch_")
    assert "receipts" in first_answer["receipt_url"] or first_answer["receipt_url"].startswith(
        "http"
    )
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    assert first_answer["created"] == event["data"]["object"]["created"]
    read = hands.client.get(f"/api/payment/{payment}").get_json()
    assert {name: read[name] for name in first_answer} == first_answer
    verified = hands.client.post("/api/payment/verify", json={"payment_intent_id": payment})
    assert verified.get_json() == {
        "verified": True,
        "payment_intent_id": payment,
        "status": "succeeded",
        "reason": None,
        "amount": 1000,
        "amount_received": 1000,
        "amount_refunded": 0,
        "currency": "sgd",
    }


def fields_apart(one: Json, other: Json) -> set[str]:
    return {name for name in one.keys() | other.keys() if one[name] != other[name]}


@pytest.mark.parametrize("method", ["pm_card_visa", "pm_card_threeDSecure2Required"])
def test_what_is_remembered_has_the_fields_of_what_stripe_says(hands: Hands, method: str) -> None:
    payment = hands.pay(method, metadata={"event_id": "7"}).get_json()["payment_intent_id"]
    hands.client.post("/api/refund/process", json={"payment_intent_id": payment, "amount": 100})
    hands.work()
    hands.deliver_events()
    hands.work()
    fresh = hands.client.get(f"/api/payment/{payment}").get_json()
    away = hands.runtime.settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:9"})
    client = open_door(away, hands.runtime.store)
    stale = client.get(f"/api/payment/{payment}").get_json()
    assert (stale["stale"], fresh["stale"]) == (True, False)
    refunds = zip(fresh.pop("refunds"), stale.pop("refunds"), strict=True)
    # No event of a refund itself says what the refund moves in the balance.
    booked = {"fee", "net", "settlement_currency", "available_on"}
    assert not [apart for pair in refunds if (apart := fields_apart(*pair) - booked)]
    differing = fields_apart(fresh, stale)
    unknown = {"client_secret", "next_action", "receipt_url", "stale", "as_of"}
    assert differing <= unknown
    assert set(stale) == set(fresh)


def test_what_no_model_names_cannot_be_answered() -> None:
    models = [one for one in _all(Output) if one is not Output]
    assert len(models) > 20
    assert not [one.__name__ for one in models if one.model_config.get("extra") != "forbid"]


def _all(model: type[Output]) -> Iterator[type[Output]]:
    for one in model.__subclasses__():
        yield one
        yield from _all(one)


def test_what_the_store_keeps_of_an_item_is_named_in_its_answer() -> None:
    names = set(SCHEMAS["ItemDetails"]["properties"])
    assert set(ITEM_FIELDS) - set(INTERNAL) - names == set()


def test_an_item_of_another_version_is_shown_whole(client: FlaskClient, real_store: Store) -> None:
    bury(real_store, "evt_1")
    real_store.redis.hset(real_store.keys.item(EVENTS, "evt_1"), "of_tomorrow", "yes")
    assert client.get("/ops/items/evt_1").get_json()["other"] == {"of_tomorrow": "yes"}


def test_a_service_without_redis_says_so_in_the_form_of_its_contract(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    Witness(open_door(away)).get("/health/ready", 503)
