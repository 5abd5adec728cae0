"""Refunds of old versions that only release held money, known by what else is known.

Such a refund need not say so itself. But it moved nothing, and its amount is what was held and not
captured. All of it is pure; `subjects` is what is known of a payment (`shared/facts.py`).
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
# Whose word on what was held and captured counts, best first.
TELLERS = ("payment", "charge")


def marked(subjects: Json) -> Json:
    """Mark the refunds that moved nothing as released holds, or as none, by what is known now."""
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
    """Give what was held and not captured, as far as it is known."""
    by_family = {one["family"]: one["snapshot"] for one in subjects.values()}
    snapshot: Json = next((by_family[name] for name in TELLERS if name in by_family), {})
    return int(snapshot.get("amount") or 0) - int(snapshot.get("amount_received") or 0)
