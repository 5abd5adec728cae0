"""Refunds in the state of a payment: released holds, and refunds that we may not list. Pure.

Some refunds of old API versions only release held money, and need not say so. But such a refund did
not change the balance, and its amount was held and not captured.

Refunds that our key may not list are known from `charge.refunded`, which has only their sum. A
refund's own events may come before or after. Each amount is notified once: the sum notified for a
`charge.refunded` is `ahead` until its refunds are known, and each of these is then `foretold`: it
is stored, and notified only if it fails. `subjects` is the state of a payment (`shared/facts.py`),
amounts are in the currency's smallest unit, times in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.stripe.amounts import REFUNDED_STATES

Json = dict[str, Any]
UNLISTED = "unlisted_refund"
# Seconds: the times of a refund and of its event differ by less than this.
NEAR_SECONDS = 5
# Most refunds of one charge in that time: the sums of all their combinations are computed.
MOST_TOGETHER = 12
# Sources of the amounts held and captured, the best first.
TELLERS = ("payment", "charge")
# The fields of a refund that its state has as Stripe gives them.
REFUND_FIELDS = ("amount", "currency", "reason", "failure_reason", "pending_reason", "created")


def marked(subjects: Json) -> Json:
    """Mark each refund without a change of the balance as a released hold or not."""
    rest = _rest(subjects)
    return {
        name: _marked(one, rest) if _is_unbooked(one) else one for name, one in subjects.items()
    }


def _is_unbooked(state: Json) -> bool:
    return state["family"] == "refund" and bool(state["snapshot"].get("unbooked"))


def _marked(refund: Json, rest: int) -> Json:
    released = 0 < rest == refund["snapshot"].get("amount")
    return refund | {"snapshot": refund["snapshot"] | {"released_hold": released}}


def _rest(subjects: Json) -> int:
    """Return the amount that was held and not captured, as far as known."""
    by_family = {one["family"]: one["snapshot"] for one in subjects.values()}
    snapshot: Json = next((by_family[name] for name in TELLERS if name in by_family), {})
    return int(snapshot.get("amount") or 0) - int(snapshot.get("amount_received") or 0)


def latest(refund: Json, known: Json) -> Json:
    """Return a refund as its newest event shows it, or as it is when no event came yet.

    `known` is the state of its payment. The bank can return a refund days after Stripe made it.
    """
    subject = known.get("subjects", {}).get(str(refund["id"]))
    return subject["snapshot"] | {"status": subject["status"]} if subject else refund


def let_go(known: Json) -> bool:
    """Say whether the payment ended with nothing received: its hold, if any, was released."""
    snapshots = [state["snapshot"] for state in known.get("subjects", {}).values()]
    if any(snapshot.get("amount_received") for snapshot in snapshots):
        return False
    looked_up = known.get("context", {}).get("let_go")
    return bool(looked_up) or any(snapshot.get("let_go") for snapshot in snapshots)


def unexplained(snapshot: Json, at: int, subjects: Json) -> tuple[int, int]:
    """Return the amount of a `charge.refunded` that no other event reports, and what is missing.

    What is missing is the part of the charge's sum that earlier events added which have not come.
    `amount_refunded` of the snapshot is the charge's sum at that time, `added` the event's part of
    it. Refunds of about the same time may be in it or not: they are when their amounts match it.
    """
    total, added = snapshot["amount_refunded"], snapshot["added"]
    own = [one for one in _refunds(subjects) if _counted(one, at) and not _is_foretold(one)]
    sure = sum(amount_of(one) for one in own if not _is_near(one, at))
    near = _sums([amount_of(one) for one in own if _is_near(one, at)])
    before = [one for _, one in _unlisted(subjects) if _place(one) < ([at], total)]
    left = total - sure - sum(_amount_told(one) for one in before)
    if left <= 0 or left in near or added in near:
        return 0, 0
    return int(min(left, added)), int(max(0, left - added))


def of_sum(charge_id: str, total: int, at: int, subjects: Json) -> list[Json]:
    """Return the refunds of a charge's sum in Stripe's form, newest first, if all of it is known.

    `total` is the charge's `amount_refunded` in an event of the second `at`. Empty unless the known
    refunds succeeded, add up to the total, and the newest is of about that time: otherwise there is
    something to look up. A balance transaction has the sums that are known of it, or is missing.
    """
    own = {
        name: one
        for name, one in subjects.items()
        if one["family"] == "refund"
        and counts(one)
        and one["snapshot"].get("charge_id") == charge_id
    }
    newest = max(own.values(), key=_made_at, default=None)
    if newest is None or not _is_near(newest, at) or sum(map(amount_of, own.values())) != total:
        return []
    if any(one["status"] != "succeeded" for one in own.values()):
        return []
    refunds = [_in_stripes_form(name, subjects) for name in own]
    return sorted(refunds, key=lambda refund: int(refund["created"] or 0), reverse=True)


def booked(refund_id: str, subjects: Json) -> Json:
    """Return a refund's balance transaction, as far as it is known; else an empty dict."""
    settlement = subjects.get(f"{refund_id}:settlement", {})
    sums: Json = settlement.get("snapshot", {})
    return sums and {
        "created": settlement["rank"][0],
        "net": sums["net"],
        "fee": sums["fee"],
        "currency": sums["settlement_currency"],
        "available_on": sums["available_on"],
    }


def _in_stripes_form(refund_id: str, subjects: Json) -> Json:
    state = subjects[refund_id]
    refund = {name: state["snapshot"].get(name) for name in (*REFUND_FIELDS, "metadata")}
    refund |= {"id": refund_id, "object": "refund", "status": state["status"]}
    refund |= {"charge": state["snapshot"].get("charge_id")}
    transaction = booked(refund_id, subjects)
    return refund | ({"balance_transaction": transaction} if transaction else {})


def foretelling(refund: Json, subjects: Json) -> Json:
    """Return the sums that include a refund, by subject, less ahead of it; empty for none.

    `refund` is the state of a refund that was not known before. A sum includes it alone, or with
    others: then less than its amount is left of the charge's sum that was not told. A refund that
    comes right after a sum may be counted so, too; then the next sum tells its amount. So a sum of
    just this amount may have been used for another refund of its second: only sums of that time
    make up for it.
    """
    amount, made_at = amount_of(refund), _made_at(refund)
    sums = sorted(_unlisted(subjects), key=lambda pair: _place(pair[1]))
    telling = [pair for pair in sums if _counted(refund, pair[1]["rank"][0])]
    near = [pair for pair in telling if pair[1]["rank"][0] - made_at < NEAR_SECONDS]
    for pair in near:
        if ahead(pair[1]) and _amount_told(pair[1]) == amount:
            return _used(amount, [pair, *near])
    is_told = telling and _untold(telling[-1][1], subjects) < amount
    is_covered = sum(ahead(one) for _, one in telling) >= amount
    return _used(amount, telling) if is_told and is_covered else {}


def unmatched(subjects: Json) -> int:
    """Return the amount of the foretold refunds whose sum has not come yet."""
    quiet = sum(amount_of(one) for one in _refunds(subjects) if _is_foretold(one))
    return int(quiet - sum(_amount_told(one) - ahead(one) for _, one in _unlisted(subjects)))


def _untold(latest: Json, subjects: Json) -> int:
    """Return the part of the charge's sum, as of its latest event, that was not told."""
    own = (one for one in _refunds(subjects) if _counted(one, latest["rank"][0]))
    by_refunds = sum(amount_of(one) for one in own if not _is_foretold(one))
    by_sums = sum(
        _amount_told(one) for _, one in _unlisted(subjects) if _place(one) <= _place(latest)
    )
    return int(latest["snapshot"]["amount_refunded"] - by_refunds - by_sums)


def _used(amount: int, sums: list[tuple[str, Json]]) -> Json:
    """Take an amount from what the sums are ahead, in their order."""
    changes: Json = {}
    for name, one in sums:
        part = 0 if name in changes else min(amount, ahead(one))
        if part:
            changes[name] = one | {"ahead": ahead(one) - part}
        amount -= part
    return changes


def refunded(subjects: Json) -> int:
    """Sum the amounts refunded or being refunded, as far as known from refunds and from sums."""
    now = sum(amount_of(one) for one in _refunds(subjects) if counts(one))
    total = now + sum(ahead(one) for _, one in _unlisted(subjects))
    latest = max((one for _, one in _unlisted(subjects)), key=_place, default=None)
    if latest is None:
        return total
    then = sum(amount_of(one) for one in _refunds(subjects) if _counted(one, latest["rank"][0]))
    return int(max(total, latest["snapshot"]["amount_refunded"] + now - then))


def counts(refund: Json) -> bool:
    """Say whether a refund's state means that its money is, or is being, refunded."""
    return refund["status"] in REFUNDED_STATES and not refund["snapshot"].get("released_hold")


def amount_of(refund: Json) -> int:
    """Return the amount of a refund."""
    return int(refund["snapshot"].get("amount") or 0)


def ahead(unlisted: Json) -> int:
    """Return the part of a sum whose refund is not known yet."""
    return int(unlisted.get("ahead", 0))


def _amount_told(unlisted: Json) -> int:
    return int(unlisted.get("told", 0))


def _is_foretold(refund: Json) -> bool:
    return bool(refund.get("foretold"))


def _is_near(refund: Json, at: int) -> bool:
    return _made_at(refund) >= at - NEAR_SECONDS


def _sums(amounts: list[int]) -> set[int]:
    """Return the sums of all combinations of one or more amounts."""
    sums: set[int] = set()
    for amount in amounts[:MOST_TOGETHER]:
        sums |= {amount} | {amount + one for one in sums}
    return sums


def _refunds(subjects: Json) -> Iterator[Json]:
    return (one for one in subjects.values() if one["family"] == "refund")


def _unlisted(subjects: Json) -> Iterator[tuple[str, Json]]:
    return ((name, one) for name, one in subjects.items() if one["family"] == UNLISTED)


def _place(unlisted: Json) -> tuple[list[int], int]:
    """Return a sum's place among the charge's sums: by its second, then by its amount."""
    return unlisted["rank"], int(unlisted["snapshot"]["amount_refunded"])


def _made_at(refund: Json) -> int:
    return int(refund["snapshot"].get("created") or 0)


def _counted(refund: Json, at: int) -> bool:
    """Say whether a refund was in the charge's sum at a moment: made by then, and not failed."""
    if refund["snapshot"].get("released_hold") or _made_at(refund) > at:
        return False
    return counts(refund) or bool(refund["rank"][1] > at)
