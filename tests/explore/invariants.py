"""Invariants of every state and every step, with the numbers of docs/invariants.md."""

from __future__ import annotations

import json
from typing import Any

from shared.work.batches import BATCH_PREFIX
from shared.work.items import GUARD_MS
from shared.work.kinds import NOTIFICATIONS, Kind
from tests.explore.actors import BROKEN, UNANSWERED, Place
from tests.explore.search import State
from tests.explore.snapshots import Command, Effect, Snapshots, Violated
from tests.explore.views import KEYS, OPEN, WORKED, View

# The payment changed since it was read: the worker reads it again, and the claim still holds.
MOVED = '["moved"]'
NO_ANSWERS = (BROKEN, UNANSWERED)
MARKING = ("settle", "release", "postpone", "bury")
# Fields that a claim counts up.
FIELDS = ("attempts", "crashes", "fence", "state")
# Sent twice they must answer the same: the answer is a right, which a lost reply must not cost.
ASKING = ("claim", "redrive", "begin")
# Sent twice they count or report twice; no decision depends on what they write.
COUNTING = ("record", "note", "tally", "spend")


def demand(holds: object, number: int, words: str) -> None:
    """Raise `Violated` unless an invariant holds."""
    if not holds:
        raise Violated(f"invariant {number}: {words}")


def check_items(view: View) -> None:
    """Check the items of every kind, their indexes and their expiries."""
    for kind in WORKED:
        due, dead = view.due(kind), view.dead(kind)
        for one, item in view.items(kind).items():
            state = item.get("state", "")
            _check_index(view, kind, one, item)
            demand((one in dead) == (state == "dead"), 5, f"{one} is {state}; dead index: {dead}")
            demand(
                not item.get("error", "").startswith("defect"), 15, f"{one}: {item.get('error')}"
            )
            lasting = state in OPEN or state == "dead"
            ends_at = view.ends_at_ms(KEYS.item(kind, one))
            demand(not lasting or ends_at is None, 4, f"{one} is {state} and will be forgotten")
            body_ends_at = view.ends_at_ms(KEYS.body(kind, one))
            demand(not lasting or not body_ends_at, 4, f"the payload of {one} will be forgotten")
        absent = set(due) - set(view.items(kind))
        demand(not absent, 1, f"{absent} are due and do not exist")


def _check_index(view: View, kind: Kind, one: str, item: dict[str, str]) -> None:
    state, at, now = item.get("state", ""), view.due(kind).get(one), view.state.now_ms
    if state == "waiting":
        first = view.outbox(item["payment_id"])[:1] == (one,)
        demand(first == (at is not None), 2, f"{one} waits; first: {first}, due at {at}")
    else:
        is_open = state in OPEN
        demand(is_open == (at is not None), 1, f"{one} is {state or 'gone'} and due at {at}")
    if at is not None:
        # The breaker postponed an item whose worker died: it has an ended lease and a pause.
        awaited = max(float(item.get(name) or 0) for name in ("lease_until", "not_before"))
        latest = max(awaited, now + GUARD_MS)
        demand(at <= latest, 3, f"{one} is {state}, looked at in {at - now} ms, not {latest - now}")
    is_held = state == "processing"
    demand(is_held or "lease_until" not in item, 9, f"{one} is {state} and still lent to somebody")
    if is_held:
        demand("lease_until" in item and "token" in item, 3, f"{one} is held without a lease")


def check_outboxes(view: View) -> None:
    """Check the order and the numbers of each payment's notifications."""
    payments: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for one, item in view.notifications.items():
        payments.setdefault(item.get("payment_id", ""), []).append((one, item))
    due = view.due(NOTIFICATIONS)
    for payment_id, own in payments.items():
        unfinished = sorted(one for one, item in own if item.get("state") in OPEN)
        outbox = view.outbox(payment_id)
        demand(sorted(outbox) == unfinished, 2, f"outbox {outbox}, unfinished {unfinished}")
        live = [one for one, _ in own if one in due]
        demand(live == [*outbox[:1]], 2, f"{live} are live, the first is {outbox[:1]}")
        numbers = sorted(int(item["sequence"]) for _, item in own)
        demand(numbers == [*range(1, len(own) + 1)], 7, f"{payment_id} has sequence {numbers}")
        # A batch may pause several times; the check of each step covers that each is notified once.
        is_batch = payment_id.startswith(BATCH_PREFIX)
        facts = [(item["type"], _subject(item)) for _, item in own if not is_batch]
        demand(len(facts) == len({*facts}), 6, f"a fact of {payment_id} has two ids: {facts}")


def _subject(item: dict[str, str]) -> str:
    """Return the subject of a notification, besides its type."""
    data = json.loads(item["body"])["data"]
    names = ("dispute_id", "review_id", "refund_id", "charge_id")
    return str([data.get(name) for name in names])


def check_marks(view: View, after: View, place: Place, effect: Effect) -> None:
    """Check that a worker without a claim changes nothing, and that no item has two claims."""
    call = place.call
    if not isinstance(call, Command):
        return
    if call.name == "claim":
        _check_claim(view, after, call, effect)
    if call.name in MARKING:
        hold = claim_of(place)
        item = view.read(call.keys[0]) or {}
        mine = (item.get("fence"), item.get("state")) == (hold.get("fence"), "processing")
        words = f"{call.name} of {call.keys[0]} by fence {hold.get('fence')}"
        demand(mine or not effect.writes, 8, f"{words} changed what it did not hold")
        if call.name == "postpone" and mine:
            _check_pause(after, call)
        moved = effect.answer == MOVED
        demand(moved or mine == bool(effect.writes), 8, f"{words} changed nothing, and it held it")


def argument(call: Command, place: int) -> Any:
    """Return an argument of a script, which follows its name, its text and its keys."""
    return call.args[3 + call.args[2] + place]


def _check_pause(after: View, call: Command) -> None:
    """Check that an item which is returned for later is due then, and pauses until then."""
    plan, item = json.loads(argument(call, 0)), after.read(call.keys[0]) or {}
    until = after.state.now_ms + plan["delay_ms"]
    pauses = float(item.get("not_before") or 0) == until
    demand(pauses or not plan["delay_ms"], 3, f"{call.keys[0]} pauses no {plan['delay_ms']} ms")


def _check_claim(view: View, after: View, call: Command, effect: Effect) -> None:
    item, now = view.read(call.keys[0]) or {}, view.state.now_ms
    if effect.answer == "null":
        then = after.read(call.keys[0]) or {}
        same = [item.get(name) == then.get(name) for name in FIELDS]
        demand(all(same), 22, f"{call.keys[0]} was refused, and counted")
        return
    if item.get("token") == argument(call, 2):
        return
    lent = item.get("state") == "processing" and float(item["lease_until"]) > now
    demand(not lent, 9, f"{call.keys[0]} is lent to two workers")
    early = float(item.get("not_before") or 0) - now
    demand(early <= 0, 3, f"{call.keys[0]} is claimed {early} ms before its time")
    demand(item.get("state") in OPEN, 9, f"{call.keys[0]} is claimed when {item.get('state')}")
    fence = int(dict(_pairs(json.loads(effect.answer)[0]))["fence"])
    demand(fence > int(item.get("fence") or 0), 8, f"{call.keys[0]} is lent under an old fence")


def _right(answer: str) -> Any:
    """Read the right in an answer; the order of a hash's fields does not matter."""
    value = json.loads(answer)
    return sorted(_pairs(value[0])) if value and isinstance(value[0], list) else value


def _pairs(flat: list[Any]) -> zip[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def claim_of(place: Place) -> dict[str, str]:
    """Read the claim of an actor; empty before it has one."""
    for answer in place.answers:
        value = None if answer in NO_ANSWERS else json.loads(answer)
        if isinstance(value, list) and value and isinstance(value[0], list):
            return dict(_pairs(value[0]))
    return {}


def check_sent_twice(snapshots: Snapshots, before: State, place: Place, effect: Effect) -> None:
    """Check that a script that is sent twice has its effect once."""
    call = place.call
    if not isinstance(call, Command) or not call.script or call.name in COUNTING:
        return
    after = snapshots.written(before.snapshot, effect)
    again = snapshots.run(after, before.now_ms, call)
    demand(not again.writes, 10, f"{call.name} of {call.keys[0]}, sent twice, changed more")
    same = call.name not in ASKING or _right(again.answer) == _right(effect.answer)
    demand(same, 10, f"{call.name} of {call.keys[0]}, sent twice, gave no right")
