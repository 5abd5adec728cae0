"""Events with odd values: each is refused, or recorded and processed; none becomes a dead letter.

`ODD_EVENTS=5000 ODD_SEED=7 pytest tests/integration/test_odd_forms.py` tries more of them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.work.kinds import EVENTS
from tests.integration.hands import Hands
from tests.integration.money import alone

Json = dict[str, Any]
FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "stripe").glob("*.json"))
EVENTS_TRIED = int(os.environ.get("ODD_EVENTS", "200"))
SEED = int(os.environ.get("ODD_SEED", "1"))
DEEPEST = 6
ODD: tuple[Any, ...] = (
    *(None, True, 5, -1, 1.5, 2**63, 10**400),
    *("", "x", "\ud800", "9" * 5000),
    *([], [None], [5], ["x"], [[]]),
    *({}, {"": 1}, {"id": 5}, {"id": None}),
    *({"data": None}, {"data": [5]}, {"data": {}}, {"object": "list", "data": [{}]}),
)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the places in an event; the first member of a list stands for all."""
    if len(above) == DEEPEST:
        return
    inside = value.items() if isinstance(value, dict) else enumerate(value[:1])
    for name, part in inside:
        yield (*above, name)
        if isinstance(part, dict | list):
            yield from places(part, (*above, name))


def odd_event(dice: random.Random, number: int) -> tuple[Json, str]:
    path = dice.choice(FIXTURES)
    event = json.loads(path.read_text()) | {"id": f"evt_odd{number}"}
    place, value = dice.choice(list(places(event))), dice.choice(ODD)
    parent = event
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = value
    return event, f"{path.name} {place} {str(value)[:40]}"


def test_an_odd_event_is_refused_or_worked(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(monkeypatch)
    monkeypatch.setattr("worker.handlers.charge.OWN_EVENTS_SECONDS", 0)
    dice, faults, statuses = random.Random(SEED), [], set()
    for number in range(EVENTS_TRIED):
        event, what = odd_event(dice, number)
        status = hands.post_event(json.dumps(event)).status_code
        statuses.add(status)
        hands.ring()
        faults += [f"{what}: {status}"] * (status not in (200, 400))
        faults += [f"{what}: {error}" for error in failures(hands)]
    assert faults == []
    assert statuses == {200, 400}


def failures(hands: Hands) -> list[str]:
    """Drop open and dead events; return the errors of those that did not only wait."""
    store = hands.runtime.store
    errors = []
    for index in (store.keys.due(EVENTS), store.keys.dead(EVENTS)):
        for item_id in store.redis.zrange(index, 0, -1):
            store.redis.zrem(index, item_id)
            attempts = store.entries(store.keys.attempts(EVENTS, item_id))
            errors += [one["error"] for one in attempts[-1:] if one["outcome"] != "snooze"]
    return errors
