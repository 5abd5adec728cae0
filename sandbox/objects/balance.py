"""Keep the account's balance transactions: what each charge, refund and dispute moved."""

from dataclasses import dataclass
from typing import Final

from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.objects import Json
from sandbox.world.world import FAREWELLS, Account, Scope

FEE_PERCENT: Final = 2.9
FEE_FIXED: Final = 30
"""Stripe's standard price for a card in the US: 2.9 % and 30 cents."""
PAYOUT_DELAY_SECONDS: Final = 2 * 24 * 3600
"""Two days until money becomes available."""

CARRIED_OVER: Final = "balance"
"""The note that holds, by currency, what forgotten transactions moved."""


@dataclass(frozen=True)
class Movement:
    """Describe one movement of money, before it is written down."""

    source: Json
    amount: int
    type: str
    category: str
    fee: int = 0
    at_once: bool = False
    description: str | None = None


def processing_fee(amount: int) -> int:
    """Return what Stripe keeps of a charge."""
    return round(amount * FEE_PERCENT / 100) + FEE_FIXED


def record(scope: Scope, movement: Movement) -> Json:
    """Write a movement down and return its balance transaction."""
    available = scope.now + (0 if movement.at_once else PAYOUT_DELAY_SECONDS)
    fee: Json = {
        "amount": movement.fee,
        "application": None,
        "currency": movement.source["currency"],
        "description": "Dispute fee" if movement.type == "adjustment" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    transaction: Json = {
        "id": ids.new_id("balance_transaction"),
        "object": "balance_transaction",
        "amount": movement.amount,
        "available_on": available,
        "balance_type": "payments",
        "created": scope.now,
        "currency": movement.source["currency"],
        "description": movement.description,
        "exchange_rate": None,
        "fee": movement.fee,
        "fee_details": [fee] if movement.fee else [],
        "net": movement.amount - movement.fee,
        "reporting_category": movement.category,
        "source": movement.source["id"],
        "status": "available" if movement.at_once else "pending",
        "type": movement.type,
    }
    return scope.put("balance_transaction", transaction)


def _as_of_now(scope: Scope, transaction: Json) -> Json:
    status = "available" if transaction["available_on"] <= scope.now else "pending"
    return {**transaction, "status": status}


def _retrieve(call: Call) -> Json:
    transaction = call.scope.find("balance_transaction", call.ids[0])
    if transaction is None:
        raise errors.missing("balance transaction", call.ids[0], "id")
    return _as_of_now(call.scope, transaction)


def _list(call: Call) -> Json:
    wanted = lists.matching(call, "source", "type", "currency")
    answer = lists.page(call, "balance_transaction", wanted)
    answer["data"] = [_as_of_now(call.scope, transaction) for transaction in answer["data"]]
    return answer


def _carry_over(account: Account, transaction: Json) -> None:
    """Keep what a forgotten transaction moved: it is old, and so available."""
    moved = account.note(CARRIED_OVER)
    currency = transaction["currency"]
    moved[currency] = moved.get(currency, 0) + transaction["net"]


FAREWELLS["balance_transaction"] = [_carry_over]


def _balance(call: Call) -> Json:
    carried_over = call.scope.note(CARRIED_OVER)
    sums = {("available", currency): net for currency, net in carried_over.items()}
    for transaction in call.scope.account.table("balance_transaction").values():
        status = _as_of_now(call.scope, transaction)["status"]
        place = status, transaction["currency"]
        sums[place] = sums.get(place, 0) + transaction["net"]

    def part(status: str) -> list[Json]:
        currencies = sorted({currency for _, currency in sums}) or ["usd"]
        return [
            {
                "amount": sums.get((status, currency), 0),
                "currency": currency,
                "source_types": {"card": sums.get((status, currency), 0)},
            }
            for currency in currencies
        ]

    return {
        "object": "balance",
        "available": part("available"),
        "livemode": False,
        "pending": part("pending"),
    }


_PATH: Final = "/v1/balance_transactions"
ROUTES: Final = (
    Route("GET", "/v1/balance", _balance),
    Route(
        "GET",
        _PATH,
        _list,
        lists.params(source=params.text(), type=params.text(), currency=params.text()),
    ),
    Route("GET", _PATH + "/{id}", _retrieve),
)
