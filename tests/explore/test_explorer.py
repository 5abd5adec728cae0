"""Every order of every step, within the budgets; and planted faults that the search must find."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from shared.store import sources
from shared.work.batch import OPEN
from shared.work.batch_turns import CLOSED, COMPLETE, END_CANCELED
from tests.depth import DEEP, cases
from tests.explore.actors import Place
from tests.explore.batches import BatchCanceled, BatchOfTwo, BatchTurned, BatchWaits
from tests.explore.breaker import Breaker
from tests.explore.events import GivenUp, OneFactTwice, Redriven, TwoFacts
from tests.explore.explorer import explore, story
from tests.explore.idempotency import Idempotency
from tests.explore.refunds import Refunds
from tests.explore.search import State
from tests.explore.service import Service
from tests.explore.settings import SETTINGS
from worker.throttle import Throttle

REQUEST = "api.idempotency.IdempotentRequest"
# CPU seconds for each setting; all are exhausted in less.
MOST_SECONDS = 60
# In the ordinary run the search goes as far as half a second suffices.
LOOK_SECONDS = cases(0.5, MOST_SECONDS)
# A script, a change to it, the setting that finds the fault, and the broken invariant.
FAULTS = {
    "no fence": ("prelude", r"\w+\[1\] == fence and ", "", TwoFacts, 8),
    "no lease": ("claim", "lease_left > 0 and", "false and", TwoFacts, 9),
    "no dedupe": ("settle", r"redis.call\('EXISTS', notification\) == 1", "false", OneFactTwice, 2),
    "no revision": ("settle", r"if p.payment and \(", "if false and (", TwoFacts, 14),
    "no due entry": ("record", r"schedule\(key.due, [^,]*, ", "ring(", TwoFacts, 1),
    "no follower": ("release", "if follower and", "if false and", TwoFacts, 13),
    "no token": ("claim", r"if item\[4\] ~= token then", "if true then", OneFactTwice, 10),
    "forgotten": ("redrive", r"redis.call\('PERSIST', name\)", "local _ = 0", Redriven, 4),
    "still given up": ("redrive", r"redis.call\('ZREM', key.dead, p.id\)", "", GivenUp, 5),
    "no pause": ("postpone", r"now \+ p.delay_ms,\n", "now,\n", GivenUp, 3),
    "two holders": ("begin", r"r\[5\] ~= token and left > 0", "false", Idempotency, 27),
    "no lease of a key": ("begin", r", 'lease_until', now \+ lease_ms", "", Idempotency, 27),
    "a late conclusion": ("conclude", r"~= ARGV\[1\]", "== ''", Idempotency, 27),
    "another body": ("begin", r"r\[1\] ~= fingerprint", "false", Idempotency, 20),
    "no end of a key": ("begin", r"> resumable_ms", "> 1e15", Idempotency, 19),
    "no probe": ("claim", r"or not redis.call\('SET', key.probe, [^)]*\)", "", Breaker, 21),
    "no close": ("release", r"redis.call\('DEL', key.breaker,", "redis.call('DEL',", Breaker, 23),
    "begun twice": ("batch_begin", r"if member.state ~= 'not_begun'", "if false", BatchTurned, 10),
    "miscounted": ("prelude", r"count_member\(batch, member, -1\)", "", BatchOfTwo, 25),
    "taken already": ("batch_end", "if taken == 0 then return end", "", BatchWaits, 24),
    "no news": ("batch_end", "if news and ", "if ", BatchWaits, 24),
    "undeclared": ("settle", r"append\(key.timeline", "append(key.item .. 's'", TwoFacts, 16),
}
# Faults at the end of a long path.
FAR = ("no probe", "no close", "taken already", "no wait for a retry")
# The same for Python: a name, its replacement, the setting and the invariant.
SLIPS = {
    "a key for each try": ("worker.refunding._key", lambda claim: claim.fence, Refunds, 17),
    "no memory's end": ("worker.refunding.SAFE_TO_REPEAT_SECONDS", 1e9, Refunds, 17),
    "a refund taken for a failure": (
        "shared.stripe.amounts.OUTCOMES",
        {"succeeded": "failed"},
        BatchOfTwo,
        24,
    ),
    "no end of a batch": ("shared.work.batch_turns.CLOSED", "none", BatchCanceled, 26),
    "no wait for a canceled batch": (
        "worker.refund_batches.END_CANCELED",
        replace(END_CANCELED, when=lambda batch: CLOSED not in batch.fields),
        BatchTurned,
        25,
    ),
    "no wait for a retry": (
        "worker.refund_batches.COMPLETE",
        replace(COMPLETE, when=lambda batch: not batch.count(*OPEN)),
        BatchTurned,
        13,
    ),
    "a key for each caller": (
        f"{REQUEST}.stripe_key",
        property(lambda r: r.token),
        Idempotency,
        19,
    ),
}


@pytest.mark.deep
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_no_order_of_steps_breaks_an_invariant(setting: type[Service]) -> None:
    report = explore(setting, LOOK_SECONDS)
    assert not report.violation, story(report)
    assert report.exhausted or not DEEP


def test_how_busy_this_machine_is_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that begins again would otherwise begin its batch at another rate."""

    def look(_: Throttle) -> float:
        raise AssertionError("it looked how busy the machine is")

    monkeypatch.setattr(Throttle, "share", look)
    report = explore(BatchOfTwo, LOOK_SECONDS)
    assert not report.violation, story(report)


def _marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(one, marks=[pytest.mark.long] * (one in FAR)) for one in names]


@pytest.mark.parametrize("fault", _marked(FAULTS))
def test_a_fault_is_found_by_the_shortest_path(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script, text, other, setting, number = FAULTS[fault]
    whole = sources.script_source

    def faulty(name: str) -> str:
        return re.sub(text, other, whole(name)) if script in (name, "prelude") else whole(name)

    assert any(faulty(name) != whole(name) for name in sources.script_names())
    monkeypatch.setattr(sources, "script_source", faulty)
    report = explore(setting, MOST_SECONDS)
    assert report.violation.startswith(f"invariant {number}:"), story(report)
    assert len(report.path) > 1


@pytest.mark.parametrize("slip", _marked(SLIPS))
def test_a_slip_in_python_is_found(slip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value, setting, number = SLIPS[slip]
    monkeypatch.setattr(name, value)
    report = explore(setting, MOST_SECONDS)
    assert report.violation.startswith(f"invariant {number}:"), story(report)


@pytest.mark.long
def test_each_request_of_a_person_about_a_batch_has_an_effect_somewhere() -> None:
    granted = set()

    class Overheard(BatchTurned):
        def ended(self, state: State, place: Place) -> tuple[Any, ...]:
            if place.spec.name == "turn" and place.result == "200":
                granted.update(place.spec.args)
            return super().ended(state, place)

    explore(Overheard, MOST_SECONDS)
    assert granted == {"pause", "resume", "cancel", "retry"}
