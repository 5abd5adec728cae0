"""The books: all that happened, for tests that check that nothing was lost or doubled."""

from typing import Final

from sandbox.world.objects import Json
from sandbox.world.world import Account, World

KINDS: Final = {
    "payment_intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "checkout_sessions": "checkout.session",
    "balance_transactions": "balance_transaction",
    "webhook_endpoints": "webhook_endpoint",
}
DELIVERY_FIELDS: Final = ("id", "event", "type", "endpoint", "url", "state", "next_attempt_at")


def whole_truth(world: World) -> Json:
    """Return all objects, events, deliveries and counts of calls, oldest first."""
    accounts = list(world.accounts.values())
    truth: Json = {
        name: [record for account in accounts for record in account.table(kind).values()]
        for name, kind in KINDS.items()
    }
    truth["payments"] = [payment for account in accounts for payment in _payments(account)]
    truth["events"] = [
        {
            "id": event["id"],
            "type": event["type"],
            "created": event["created"],
            "object": event["data"]["object"]["id"],
            "account": event.get("account"),
            "request": event["request"],
            "pending_webhooks": event["pending_webhooks"],
        }
        for account in accounts
        for event in account.table("event").values()
    ]
    truth["deliveries"] = [_delivery(record) for record in world.mail.deliveries.values()]
    truth["calls"] = {"acted": sum(world.acted.values()), "by_route": world.acted}
    truth["rate_limits"] = world.rate_limits.as_json()
    truth["idempotency"] = world.memory.counts
    return truth


def _payments(account: Account) -> list[Json]:
    """Return for each intent the amounts captured and refunded."""
    charges = _by_intent(account.table("charge"))
    refunds = _by_intent(account.table("refund"))
    return [
        {
            "payment_intent": intent["id"],
            "status": intent["status"],
            "currency": intent["currency"],
            "metadata": intent["metadata"],
            "charges": len(charges.get(intent["id"], ())),
            "taken": sum(
                charge["amount_captured"]
                for charge in charges.get(intent["id"], ())
                if charge["status"] == "succeeded"
            ),
            "refunds": len(refunds.get(intent["id"], ())),
            "returned": sum(
                refund["amount"]
                for refund in refunds.get(intent["id"], ())
                if refund["status"] in ("succeeded", "pending")
            ),
        }
        for intent in account.table("payment_intent").values()
    ]


def _by_intent(table: dict[str, Json]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {}
    for record in table.values():
        groups.setdefault(record["payment_intent"], []).append(record)
    return groups


def _delivery(record: Json) -> Json:
    attempts = [
        {"at": attempt["at"], "status": attempt["status"], "error": attempt["error"]}
        for attempt in record["attempts"]
    ]
    return {**{name: record[name] for name in DELIVERY_FIELDS}, "attempts": attempts}
