"""The account's balance transactions: the money that each charge, refund and dispute moved."""

from dataclasses import dataclass
from typing import Final

from sandbox.objects import money, settlement
from sandbox.wire import lists, params
from sandbox.wire.call import Call, Route
from sandbox.world import errors, ids
from sandbox.world.objects import Json
from sandbox.world.world import FAREWELLS, Account, Scope

FEE_PERCENT: Final = 2.9
FEE_FIXED: Final = 30
"""Stripe's standard price for a card in the US: 2.9 % and 30 cents."""
DEFAULT_CURRENCY: Final = "usd"
"""The platform is an account in the US."""
ABOUT: Final = "balance_setting"
"""The id of an account's note about its balance."""
PAYOUT_DELAY_SECONDS: Final = 2 * 24 * 3600
"""Two days until money becomes available."""

CARRIED_OVER: Final = "balance"
"""The field of the note with the sums of dropped transactions, by currency."""


@dataclass(frozen=True)
class Movement:
    """One movement of money that is not recorded yet."""

    source: Json
    amount: int
    type: str
    category: str
    fee: int = 0
    """In the currency the movement settles in."""
    processed: bool = False
    """Stripe's fee for processing a charge comes on top."""
    at_once: bool = False
    description: str | None = None


def processing_fee(amount: int) -> int:
    """Return Stripe's fee for a charge."""
    return round(amount * FEE_PERCENT / 100) + FEE_FIXED


def record(scope: Scope, movement: Movement) -> Json:
    """Record a movement and return its balance transaction."""
    available = scope.now + (0 if movement.at_once else PAYOUT_DELAY_SECONDS)
    settled = settlement.settle(movement.amount, movement.source["currency"], _currency(scope))
    due = movement.fee + (processing_fee(settled.amount) if movement.processed else 0)
    fee: Json = {
        "amount": due,
        "application": None,
        "currency": settled.currency,
        "description": "Dispute fee" if movement.type == "adjustment" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    transaction: Json = {
        "id": ids.new_id("balance_transaction"),
        "object": "balance_transaction",
        "amount": settled.amount,
        "available_on": available,
        "balance_type": "payments",
        "created": scope.now,
        "currency": settled.currency,
        "description": movement.description,
        "exchange_rate": settled.rate,
        "fee": due,
        "fee_details": [fee] if due else [],
        "net": settled.amount - due,
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
    matches = lists.matching(call, "source", "type", "currency")
    answer = lists.page(call, "balance_transaction", matches)
    answer["data"] = [_as_of_now(call.scope, transaction) for transaction in answer["data"]]
    return answer


def _carry_over(account: Account, transaction: Json) -> None:
    """Add a dropped transaction to the note; it is old, so its money is available."""
    carried_over = account.note(CARRIED_OVER)
    currency = transaction["currency"]
    carried_over[currency] = carried_over.get(currency, 0) + transaction["net"]


FAREWELLS["balance_transaction"] = [_carry_over]


def settle_in(scope: Scope, currency: str | None) -> None:
    """Convert charges into this currency from now on; None: no conversion."""
    scope.note(ABOUT)["settlement_currency"] = currency


def _currency(scope: Scope) -> str | None:
    note = scope.note(ABOUT)
    if "settlement_currency" in note:
        return str(note["settlement_currency"]) if note["settlement_currency"] else None
    account = scope.world.scope().find("account", scope.account.id)
    return str(account["default_currency"]) if account else DEFAULT_CURRENCY


def limit(scope: Scope, currency: str, amount: int | None) -> None:
    """Set the available balance, which limits refunds from then on; None: no limit."""
    limited = scope.note(ABOUT).setdefault("limited", {})
    limited.pop(currency, None)
    if amount is not None:
        # With a limit, refunds that are still pending have left the balance already.
        limited[currency] = 0
        limited[currency] = amount - _sums(scope).get(("available", currency), 0)


def covers(scope: Scope, amount: int, currency: str) -> bool:
    """Say whether the available balance covers a refund of this amount."""
    settled = settlement.settle(amount, currency, _currency(scope))
    if settled.currency not in scope.note(ABOUT).get("limited", {}):
        return True
    return _sums(scope).get(("available", settled.currency), 0) >= settled.amount


def _sums(scope: Scope) -> dict[tuple[str, str], int]:
    """Add up by status and currency; money that leaves a limited balance leaves it at once.

    It reads every transaction while no other call is answered, so it does little with each.
    """
    now = scope.now
    limited: dict[str, int] = scope.note(ABOUT).get("limited", {})
    sums = {("available", currency): net for currency, net in scope.note(CARRIED_OVER).items()}
    for currency, amount in limited.items():
        sums["available", currency] = sums.get(("available", currency), 0) + amount
    for transaction in scope.account.table("balance_transaction").values():
        net, currency = transaction["net"], transaction["currency"]
        is_pending = transaction["available_on"] > now and (net >= 0 or currency not in limited)
        place = "pending" if is_pending else "available", currency
        sums[place] = sums.get(place, 0) + net
    return sums


def overview(scope: Scope) -> Json:
    """Return the balance, available and pending, by currency."""
    sums = _sums(scope)

    def part(status: str) -> list[Json]:
        currencies = sorted({currency for _, currency in sums}) or [DEFAULT_CURRENCY]
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
    Route("GET", "/v1/balance", lambda call: overview(call.scope)),
    Route(
        "GET",
        _PATH,
        _list,
        lists.params(
            source=params.text(),
            type=params.text(),
            currency=money.parse_currency,
            **params.not_simulated("payout"),
        ),
    ),
    Route("GET", _PATH + "/{id}", _retrieve),
)
