"""Refund an event while processes are killed at random, and audit each of its payments.

    python -m chaos.refund_batch --payments 10000 --kills 40
    python -m chaos.refund_batch --payments 10000 --kills 0 --beside

With `--beside`, ordinary payments and webhooks are sent at a steady pace, in turns while the batch
runs and while it is paused, and their times are compared; use it without kills. With `--apart` the
workers, the notifier and upkeep have one half of the processors, and all others the other half.
Exit 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import requests

from chaos.beside import SECRET_KEY, Beside
from chaos.processor import keep_apart
from chaos.stage import Crew, NotQuiet, Stage, wait_until
from chaos.trouble import Trouble
from shared.keys import Keys
from shared.work.kinds import EVENTS, NOTIFICATIONS, REFUNDS

Json = dict[str, Any]
EVENT_ID = "evening"
AMOUNT = 1000
# Stripe's rate limits, which the sandbox applies while the batch runs.
LIMITS = {"per_endpoint": 25, "per_account": 100}
# Stripe's events come a second and more after the call that caused them, when its answer is stored.
AS_AT_STRIPE = {"mode": "late", "delay_seconds": 1.0}
LOOK_SECONDS = 0.2
CALL_SECONDS = 30.0
# Seconds of the pause: longer than the refunds that had begun take.
PAUSED_SECONDS = 1.0
LIMIT_SECONDS = 3600.0


@dataclass
class Outcome:
    """The result of a run, with every broken promise."""

    payments: int = 0
    seconds: float = 0.0
    planning_seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    looks: int = 0
    pauses: int = 0
    broken: list[str] = field(default_factory=list)
    beside: Json = field(default_factory=dict)

    def require(self, holds: bool, what: str) -> None:
        """Record a broken promise."""
        if not holds:
            self.broken.append(what)


def run(
    payments: int, kills: int, seed: int = 1, *, beside: bool = False, apart: bool = False
) -> Outcome:
    """Take payments, refund them in one batch while processes die, and audit; raises `NotQuiet`."""
    outcome = Outcome(payments=payments)
    crew = Crew(workers=2, notifiers=1, upkeeps=2)
    # With deaths, events may be lost, and reconcile finds them; else it would disturb some turns.
    pause = "7200" if beside else "20"
    with Stage(crew=crew, RECONCILE_INTERVAL_SECONDS=pause, LOG_LEVEL="ERROR") as stage:
        if apart:
            keep_apart(stage)
        _pay(stage, payments)
        wait_until(lambda: not _open(stage), "the payments are told", LIMIT_SECONDS)
        _post(f"{stage.sandbox}/_sandbox/rate_limits", LIMITS)
        traffic = Beside(stage) if beside else None
        if traffic:
            _post(f"{stage.sandbox}/_sandbox/deliveries", AS_AT_STRIPE)
            traffic.begin()
        _Batch(stage, outcome, Random(seed)).live(kills, traffic)
        if traffic:
            outcome.beside = traffic.figures()
        _post(f"{stage.sandbox}/_sandbox/rate_limits", dict.fromkeys(LIMITS))
        wait_until(lambda: not _open(stage), "all is told", LIMIT_SECONDS)
        _audit(stage, outcome)
        stage.keep = bool(outcome.broken)
    return outcome


class _Batch:
    """One batch from its start to its end, which is read all the time."""

    def __init__(self, stage: Stage, outcome: Outcome, dice: Random) -> None:
        self._stage, self._outcome, self._dice = stage, outcome, dice
        self._trouble = Trouble(stage, dice)
        self._route = f"{stage.api}/api/refund/batches"

    def live(self, kills: int, traffic: Beside | None) -> None:
        """Start it, kill processes meanwhile, pause and resume it once, and wait for its end."""
        at = sorted(self._dice.random() * 0.95 for _ in range(kills))
        began_at = time.monotonic()
        batch = self._call("POST", "", {"event_id": EVENT_ID})
        self._outcome.planning_seconds = time.monotonic() - began_at
        route, count = f"/{batch['batch_id']}", 0
        while batch["state"] != "completed":
            self._trouble.run_once()
            time.sleep(LOOK_SECONDS)
            batch = self._call("GET", route)
            self._look(batch, count)
            count = batch["done"]
            while at and count >= at[0] * batch["total"]:
                at.pop(0)
                self._trouble.kill()
            if traffic:
                self._take_turns(route, traffic.look(batch))
            elif not self._outcome.pauses and count * 4 >= batch["total"]:
                self._pause(route)
            if time.monotonic() - began_at > LIMIT_SECONDS:
                raise NotQuiet(f"the batch did not end: {batch}")
        self._outcome.seconds = time.monotonic() - began_at
        self._outcome.kills = dict(self._trouble.kills)
        self._trouble.settle()
        self._outcome.require(batch["counts"]["refunded"] == self._outcome.payments, str(batch))

    def _look(self, batch: Json, count: int) -> None:
        self._outcome.looks += 1
        total = sum(batch["counts"].values())
        self._outcome.require(batch["done"] >= count, f"progress went back from {count}: {batch}")
        self._outcome.require(total == self._outcome.payments, f"members were lost: {batch}")

    def _take_turns(self, route: str, step: str | None) -> None:
        """Pause or resume it when the measurement of the other traffic requires it."""
        if step:
            self._outcome.pauses += step == "pause"
            self._call("POST", f"{route}/{step}", {})

    def _pause(self, route: str) -> None:
        """Pause, check that no refund begins, and resume."""
        self._outcome.pauses += 1
        before = self._call("POST", f"{route}/pause", {})
        until = time.monotonic() + PAUSED_SECONDS
        while time.monotonic() < until:
            self._trouble.run_once()
            time.sleep(LOOK_SECONDS)
        now = self._call("GET", route)
        same = now["counts"]["not_begun"] == before["counts"]["not_begun"]
        self._outcome.require(same, f"a paused batch began more: {before} {now}")
        self._call("POST", f"{route}/resume", {})

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Repeat a request until it is answered, as a correct client does while processes die."""
        key = secrets.token_hex(8)  # each step has its own: a key is of one request
        until = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < until:
            self._trouble.run_once()
            try:
                answer = requests.request(
                    method,
                    self._route + path,
                    json=body,
                    headers={"Idempotency-Key": key},
                    timeout=CALL_SECONDS,
                )
            except requests.RequestException:
                time.sleep(LOOK_SECONDS)
                continue
            if answer.ok:
                batch: Json = answer.json()
                return batch
            problem = answer.json().get("code")
            if problem == "batch_unexpected_state":
                return self._call("GET", path.rpartition("/")[0])
            if answer.status_code not in (409, 503):
                raise NotQuiet(f"{method} {path}: {answer.text}")
            time.sleep(LOOK_SECONDS)
        raise NotQuiet(f"{method} {path} was never answered")


def _pay(stage: Stage, count: int) -> None:
    """Take payments at Stripe; the service learns of them by webhooks."""
    form = {
        "amount": AMOUNT,
        "currency": "sgd",
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "metadata[event_id]": EVENT_ID,
    }
    _post(f"{stage.sandbox}/_sandbox/rate_limits", dict.fromkeys(LIMITS))

    def pay(_: int) -> None:
        url = f"{stage.sandbox}/v1/payment_intents"
        requests.post(url, form, headers=SECRET_KEY, timeout=CALL_SECONDS).raise_for_status()

    with ThreadPoolExecutor(4) as hands:
        list(hands.map(pay, range(count)))


def _audit(stage: Stage, outcome: Outcome) -> None:
    """Compare Stripe's books, the members and the notifications."""
    books = requests.get(f"{stage.sandbox}/_sandbox/books", timeout=120).json()
    ours = {i["id"] for i in books["payment_intents"] if i["metadata"].get("event_id") == EVENT_ID}
    refunds = Counter(one["payment_intent"] for one in books["refunds"])
    amounts = {one["amount"] for one in books["refunds"]}
    outcome.require(refunds == Counter(ours), "not every payment was refunded exactly once")
    outcome.require(amounts == {AMOUNT}, f"other amounts were refunded: {amounts}")
    members = list(_members(stage))
    outcome.require({one["payment_id"] for one in members} == ours, "members are missing")
    outcome.require({one["status"] for one in members} == {"refunded"}, "members are not refunded")
    made_ids = {one["id"] for one in books["refunds"]}
    outcome.require({one["refund_id"] for one in members} == made_ids, "members name other refunds")
    notifications = requests.get(f"{stage.receiver}/notifications", timeout=120).json()["data"]
    first = Counter(item["type"] for item in notifications if not item["duplicate"])
    outcome.require(
        first["refund.succeeded"] == len(ours), f"told {first['refund.succeeded']} refunds"
    )
    for name, count in (("started", 1), ("paused", outcome.pauses), ("completed", 1)):
        outcome.require(first[f"refund_batch.{name}"] == count, f"refund_batch.{name}: {first}")


def _members(stage: Stage) -> Iterator[Json]:
    route = f"{stage.api}/api/refund/batches"
    (batch,) = requests.get(route, timeout=CALL_SECONDS).json()["data"]
    query: Json = {"limit": 1000}
    while True:
        url = f"{route}/{batch['batch_id']}/refunds"
        page = requests.get(url, params=query, timeout=CALL_SECONDS).json()
        yield from page["data"]
        if not page["has_more"]:
            return
        query["starting_after"] = page["data"][-1]["payment_id"]


def _open(stage: Stage) -> int:
    kinds = (EVENTS, REFUNDS, NOTIFICATIONS)
    return sum(int(stage.redis.zcard(Keys().due(kind))) for kind in kinds)


def _post(url: str, body: Json) -> None:
    requests.post(url, json=body, timeout=CALL_SECONDS).raise_for_status()


def main() -> int:
    """Make the run of the command line, and print its results."""
    parser = argparse.ArgumentParser(prog="python -m chaos.refund_batch", description=__doc__)
    parser.add_argument("--payments", type=int, default=200, help="payments of the event (200)")
    parser.add_argument("--kills", type=int, default=12, help="processes to kill (12)")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed that decides which processes are killed, and when"
    )
    parser.add_argument(
        "--beside", action="store_true", help="measure other traffic during the batch"
    )
    parser.add_argument("--apart", action="store_true", help="processors of their own for workers")
    options = parser.parse_args()
    outcome = run(
        options.payments, options.kills, options.seed, beside=options.beside, apart=options.apart
    )
    sys.stdout.write(json.dumps(asdict(outcome), indent=2) + "\n")
    return 1 if outcome.broken else 0


if __name__ == "__main__":
    sys.exit(main())
