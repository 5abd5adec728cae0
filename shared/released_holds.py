"""Recognise refunds of old API versions that only release held money. Pure.

Such a refund need not say so itself. But it did not change the balance, and its amount was held and
not captured. `subjects` is the state of a payment (`shared/facts.py`).
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
# Sources of the amounts held and captured, the best first.
TELLERS = ("payment", "charge")


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
    """Give the amount that was held and not captured, as far as known."""
    by_family = {one["family"]: one["snapshot"] for one in subjects.values()}
    snapshot: Json = next((by_family[name] for name in TELLERS if name in by_family), {})
    return int(snapshot.get("amount") or 0) - int(snapshot.get("amount_received") or 0)
