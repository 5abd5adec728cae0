"""The policy: what follows from a failed attempt depends on who must act."""

from __future__ import annotations

from random import Random

import pytest

from shared.errors import CallerError, Inconsistent, Misconfigured, NotYet, OverBudget, Unavailable
from shared.work.items import Claim
from shared.work.kinds import EVENTS, UPKEEP, Kind
from shared.work.results import Dead, Retry, Snooze
from tests.conftest import make_settings
from worker import policy
from worker.policy import DEFECT_ATTEMPTS, SNOOZE_LIMIT_SECONDS, decide, reason_of

SETTINGS = make_settings(retry_base_seconds=2, retry_cap_seconds=100)
MOST = 12
DOWN = Unavailable("Stripe is down.", code="stripe_down")
BUSY = Unavailable("Stripe is down.", retry_after_seconds=60)
DEFECT = KeyError("amount")
REFUSALS = [CallerError("No."), Misconfigured("Wrong key."), Inconsistent("Impossible.")]


class LongestPause(Random):
    """Dice that always give the highest value, so that a pause shows how it was computed."""

    def uniform(self, a: float, b: float) -> float:
        return a + b


@pytest.fixture(autouse=True)
def _longest_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "_dice", LongestPause())


def claim(attempts: int = 1, age_seconds: float = 0, kind: Kind = EVENTS) -> Claim:
    """Build a claim of an item with an age and a number of attempts."""
    fields = {"recorded_at": "1000000"}
    at_ms = 1_000_000 + round(age_seconds * 1000)
    return Claim(kind, "evt_1", fields, None, "1", attempts, 0, at_ms, {}, "")


@pytest.mark.parametrize("attempts", [1, 1000])
@pytest.mark.parametrize("age", [0, SNOOZE_LIMIT_SECONDS * 2])
@pytest.mark.parametrize("kind", [EVENTS, UPKEEP])
def test_who_waits_for_his_turn_at_stripe_waits_however_long(
    attempts: int, age: float, kind: Kind
) -> None:
    error = OverBudget("Wait.", delay_seconds=7)
    decision = decide(error, claim(attempts, age, kind), SETTINGS, MOST)
    assert decision == Snooze(7, "over_budget: Wait.")


@pytest.mark.parametrize("age", [0, SNOOZE_LIMIT_SECONDS - 0.001])
def test_a_fact_that_has_not_arrived_is_waited_for(age: float) -> None:
    error = NotYet("No charge.", delay_seconds=3)
    assert decide(error, claim(1000, age), SETTINGS, MOST) == Snooze(3, "not_yet: No charge.")


def test_a_fact_that_never_arrives_is_a_persons_matter() -> None:
    error = NotYet("No charge.")
    late = claim(1, SNOOZE_LIMIT_SECONDS)
    assert decide(error, late, SETTINGS, MOST) == Dead("not_yet: No charge.")


@pytest.mark.parametrize("error", REFUSALS)
def test_what_a_person_must_change_is_given_up_at_once(error: Exception) -> None:
    assert decide(error, claim(), SETTINGS, MOST) == Dead(str(error))


@pytest.mark.parametrize(("attempts", "pause"), [(1, 2), (2, 4), (3, 8), (MOST - 1, 100)])
def test_an_outage_is_met_with_growing_pauses(attempts: int, pause: float) -> None:
    decision = decide(DOWN, claim(attempts), SETTINGS, MOST)
    assert decision == Retry("stripe_down: Stripe is down.", pause)


def test_a_peer_that_asks_for_patience_gets_it() -> None:
    assert decide(BUSY, claim(), SETTINGS, MOST) == Retry("unavailable: Stripe is down.", 60)


@pytest.mark.parametrize("attempts", [MOST, MOST + 1])
def test_an_outage_that_outlasts_the_budget_ends_in_a_dead_letter(attempts: int) -> None:
    decision = decide(DOWN, claim(attempts), SETTINGS, MOST)
    assert decision == Dead("stripe_down: Stripe is down.")


@pytest.mark.parametrize(
    ("attempts", "most", "ends"),
    [
        (1, MOST, False),
        (DEFECT_ATTEMPTS - 1, MOST, False),
        (DEFECT_ATTEMPTS, MOST, True),
        (1, 2, False),
        (2, 2, True),
    ],
)
def test_a_defect_is_tried_a_few_times(attempts: int, most: int, ends: bool) -> None:
    decision = decide(DEFECT, claim(attempts), SETTINGS, most)
    assert isinstance(decision, Dead if ends else Retry)
    assert decision.reason == "defect: KeyError: 'amount'"


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (DOWN, 15),
        (BUSY, 60),
        (DEFECT, 300),
        (NotYet("Later."), 300),
        *((one, 300) for one in REFUSALS),
    ],
)
def test_a_duty_of_upkeep_is_never_given_up(error: Exception, pause: float) -> None:
    decision = decide(error, claim(1000, 10**6, UPKEEP), SETTINGS, MOST)
    assert decision == Snooze(pause, reason_of(error))
