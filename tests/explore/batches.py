"""A batch of refunds: upkeep, workers and a person change it, and each payment is refunded once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask import Flask, g

from api import refund_batches as doors
from api.batch_models import BatchPath
from api.idempotency import idempotent_request
from api.parts import EXTENSION, Parts
from shared.errors import CallerError
from shared.work.batch import OPEN, BatchRecord, BatchState, Member, MemberState
from shared.work.batch_turns import CANCEL, CLOSED, RESUME
from shared.work.batches import PLACES_A_STATE, Batches, NewBatch, batch_id, member_job_id
from shared.work.kinds import EVENTS, REFUNDS
from shared.work.refund_jobs import job_of_key
from tests.explore.actors import PeerCall, Place, Spec
from tests.explore.events import raw_event
from tests.explore.invariants import argument, demand
from tests.explore.refunds import REFUND
from tests.explore.search import IDLE, Budget, Option, State
from tests.explore.service import Service, event_of
from tests.explore.snapshots import Command, Effect
from tests.explore.stripe_actor import Gateway, Ledger, option, translated
from tests.explore.views import KEYS, View
from worker import refund_batches

Json = dict[str, Any]
PAYMENTS = ("pi_1", "pi_2")
RAW = [raw_event(f"evt_{one}", "payment_intent.succeeded", id=one) for one in PAYMENTS]
BATCH = batch_id("shop", "key")
PATH = BatchPath(batch_id=BATCH)
TERMS = dict.fromkeys(("percent", "amount", "keep_fee", "currency", "event_id", "reason"))
FIELDS = {"terms": json.dumps(TERMS | {"metadata": {}}), "caller": "shop", "account": ""}
ENOUGH, NOTHING_LEFT = {"sgd": 10**9}, {"sgd": 0}
TURNS = {"pause": doors.STOP, "resume": RESUME, "cancel": CANCEL}
FAILED = frozenset((MemberState.FAILED,))
# A request whose key is not recorded: what the key does is searched for payments (idempotency.py).
ATTEMPT = idempotent_request("shop", "key", {})
MOST_TRIES = 3
# What is left of a payment of which Stripe refused to refund an amount.
LEFT = {"something left": 1, "nothing left of it": 0}
# Types of the notifications about a batch itself.
TOLD_OF = ("state", "paused_reason", CLOSED)
REFUND_STATES = (MemberState.REFUNDED,)
NOT_MADE = (MemberState.FAILED, MemberState.LEFT_OUT, MemberState.NOT_BEGUN)


class Paying(Gateway):
    """The gateway's calls for refunds of several payments, and for the balance."""

    def create_refund(self, *, params: Json, idempotency_key: str, **_: Any) -> Json:
        answer: Json = self._stage.peer("create_refund", idempotency_key, params["payment_intent"])
        return answer

    def balance(self, _: str | None) -> dict[str, int]:
        answer: dict[str, int] = self._stage.peer("balance")
        return answer


class BatchOfTwo(Service):
    """Refund two payments by one batch."""

    name = "a batch of two refunds"
    slots = ("worker 1", "worker 2", "nobody", "the relay", "a person")
    kinds = (REFUNDS,)
    budget = Budget(faults=1)
    wide = Budget(faults=2, deaths=1, ticks=2, breaks=1)
    payments = PAYMENTS
    # Upkeeps at a time: a second one starts when the first hangs and its lease has ended.
    upkeeps = 1
    # What the beginning of an upkeep uses up of the budget.
    cost = ""
    verbs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.events = [event_of(raw) for raw in RAW if raw["data"]["object"]["id"] in self.payments]
        super().__init__()
        gateway = Paying(self.stage)
        self.runtime.__dict__.update(gateway=gateway, refund_gateway=gateway)
        for call in ("create_refund", "refund", "events", "payment", "balance"):
            self.stage.translate[call] = translated
        self.stage.actors |= {"start": self._start, "upkeep": self._upkeep, "turn": self._turn}
        self._batches = Batches(self.stage.store, self.settings)
        self._app = Flask("explore")
        self._app.extensions[EXTENSION] = Parts.build(self.settings, self.stage.store)

    def _start(self) -> None:
        money = RAW[0]["data"]["object"]
        members = [
            Member(one, MemberState.NOT_BEGUN, money["amount_received"], money["currency"])
            for one in self.payments
        ]
        self._batches.record(NewBatch(BATCH, dict(FIELDS), members))

    def _upkeep(self) -> None:
        refund_batches.run_once(self.runtime)

    def _turn(self, verb: str) -> str:
        """Do what a person requests, as the API does; return the status or the refusal."""
        with self._app.test_request_context(f"/api/refund/batches/{BATCH}/{verb}", method="POST"):
            g.is_operator, g.caller = False, "shop"
            try:
                if verb == "retry":
                    return str(doors.change(PATH, doors.once_more(FAILED), ATTEMPT, FAILED).status)
                return str(doors.change(PATH, TURNS[verb], ATTEMPT).status)
            except CallerError as error:
                return error.code

    def body(self, event_id: str) -> str:
        return json.dumps(next(raw for raw in RAW if raw["id"] == event_id))

    def world(self) -> tuple[Any, ...]:
        return (*super().world(), Ledger().frozen())

    def prepare(self, state: State) -> State:
        """Settle the payments and record the batch before the search begins."""
        for event in self.events:
            state, _ = self.complete(state, Spec("record", (event.id,), ""))
            spec = Spec("work", (EVENTS.name, event.id), self.token(state))
            state, _ = self.complete(state, spec)
        return self.complete(state, Spec("start", (), "aside"))[0]

    def begins(self, state: State) -> Iterator[tuple[int, str, Spec, str]]:
        yield from (start for start in super().begins(state) if start[2].name == "work")
        idle = [slot for slot in range(self.workers) if state.actors[slot] == IDLE]
        running = sum(self._is_upkeep(place) for place in state.actors)
        for slot in idle[: running < self.most_upkeeps(state)]:
            yield slot, "upkeep", Spec("upkeep", (), ""), self.cost
        if state.actors[-1] == IDLE:
            for verb in self.verbs:
                yield len(self.slots) - 1, f"asks to {verb}", Spec("turn", (verb,), ""), "asks"

    def most_upkeeps(self, state: State) -> int:
        """Return how many upkeeps may run now."""
        return self.upkeeps

    def _is_upkeep(self, number: int) -> bool:
        place = self.stage.places[number]
        return place is not None and place.spec.name == "upkeep"

    def redrivable(self, view: View) -> Iterator[str]:
        yield from view.dead(REFUNDS)

    def is_late(self, state: State, place: Place) -> bool:
        return place.spec.name == "work" and super().is_late(state, place)

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        ledger = Ledger.of(state.world[1])
        if call.name == "create_refund":
            key, payment = json.loads(call.args)
            for words, after, cost in ledger.answers(key, state.now_ms, f"re_{payment}"):
                world = (state.world[0], after.frozen())
                yield option(words, self._refund(words), world, cost)
        if call.name == "refund":
            [name] = json.loads(call.args)
            yield option("shown", self._refund(name), state.world)
        if call.name == "payment":
            [name] = json.loads(call.args)
            for words, left in LEFT.items():
                yield option(words, _refunded_but(name, left), state.world)
        if call.name == "events":
            yield option("listed", ledger.objects, state.world)
        if call.name == "balance":
            yield option("enough", ENOUGH, state.world)
            yield option("nothing left", NOTHING_LEFT, state.world, "faults")

    def _refund(self, name: str) -> Json:
        return {**REFUND, "id": name, "status": "succeeded"}

    def check(self, state: State) -> None:
        super().check(state)
        view, ledger = self.view(state), Ledger.of(state.world[1])
        for one in self.payments:
            names = [name for name, key in ledger.objects if job_of_key(key) in _jobs(one)]
            demand(len(names) <= 1, 24, f"of {one} the batch made the refunds {names}")
            member = members(view)[one]
            if member.state in REFUND_STATES:
                demand([member.refund_id] == names, 24, f"{one} is {member.state} by {names}")
            if member.state in NOT_MADE:
                demand(not names, 24, f"{one} is {member.state} and has the refund {names}")
        _check_counts(view)

    def check_step(self, before: State, place: Place, effect: Effect, after: State) -> None:
        super().check_step(before, place, effect, after)
        if isinstance(place.call, Command) and place.call.name == "batch_end":
            _check_ending(self.view(before), self.view(after), place.call)
        if isinstance(place.call, Command) and place.call.name == "batch_again":
            _check_again(self.view(before), self.view(after), place.call)
        if isinstance(place.call, Command) and place.call.name == "batch_turn":
            then, now = record(self.view(before)), record(self.view(after))
            notifications = int(now.fields["sequence"]) - int(then.fields["sequence"])
            stood, stands = ([b.fields.get(f) for f in TOLD_OF] for b in (then, now))
            demand(
                notifications <= (stood != stands), 26, f"the batch stays {stands}: told once more"
            )

    def _round(self, state: State) -> tuple[State, bool]:
        """Run upkeep beside the relay and the worker."""
        before = _moved(self.view(state))
        state, _ = self.complete(state, Spec("upkeep", (), ""))
        state, worked = super()._round(state)
        return state, worked or _moved(self.view(state)) != before

    def awaited(self, view: View) -> list[float]:
        """Wait for the next check of the balance, too."""
        batch = record(view)
        looks = batch.fields.get("paused_reason") == refund_batches.INSUFFICIENT_FUNDS
        return super().awaited(view) + [float(batch.fields.get("look_at", 0))] * looks

    def check_goal(self, view: View) -> None:
        batch = record(view)
        stopped = batch.fields.get("paused_reason") == doors.REQUESTED
        ended = batch.state in (BatchState.COMPLETED, BatchState.CANCELED) or stopped
        demand(ended, 13, f"nothing is due, and the batch is {batch.state}")
        for one, member in members(view).items():
            has_begun = member.state in OPEN and member.state is not MemberState.NOT_BEGUN
            left = stopped or not has_begun
            demand(left, 13, f"nothing is due, and the member {one} is {member.state}")
        demand(not view.read(KEYS.ended_members()), 13, "an end of a job was never heard of")


class BatchTurned(BatchOfTwo):
    """Refund one payment by a batch that a person pauses, resumes, cancels and retries."""

    name = "a batch of one refund, and a person"
    payments = PAYMENTS[:1]
    verbs = (*TURNS, "retry")
    budget = Budget(faults=1, asks=1)
    wide = Budget(faults=2, asks=2, deaths=1, ticks=1, redrives=1)


class BatchCanceled(BatchTurned):
    """Cancel a batch while two upkeeps run for it."""

    name = "a batch that is canceled, and two upkeeps"
    verbs = ("cancel",)
    upkeeps = 2
    budget = Budget(asks=1)
    wide = Budget(asks=1, faults=1, breaks=1)


class BatchWaits(BatchOfTwo):
    """Refund one payment that waits for balance, while an upkeep hangs and another runs."""

    name = "a batch that waits for balance, and two upkeeps"
    payments = PAYMENTS[:1]
    upkeeps = 2
    cost = "repeats"
    budget = Budget(ticks=1, repeats=2)
    wide = Budget(ticks=2, repeats=3, breaks=1)

    def prepare(self, state: State) -> State:
        """Begin the member and let Stripe refuse its refund before the search begins."""
        state, _ = self.complete(super().prepare(state), Spec("upkeep", (), ""))
        [job] = self.view(state).items(REFUNDS)
        return self.complete(state, Spec("work", (REFUNDS.name, job), self.token(state)))[0]

    def most_upkeeps(self, state: State) -> int:
        """Let another upkeep begin after time has passed: the lease of the first has ended."""
        return self.upkeeps if Budget(*state.left).ticks < self.budget.ticks else 1

    def stripe(self, state: State, call: PeerCall) -> Iterator[Option]:
        """Refuse the first refund for lack of balance; everything else goes well."""
        lacks = call.name == "create_refund" and not Ledger.of(state.world[1]).stored_answers
        for one in super().stripe(state, call):
            if one.label == "no balance" if lacks else not one.cost:
                yield replace(one, cost="")


def _refunded_but(payment: str, left: int) -> Json:
    """Build a payment as Stripe shows it when others refunded it, but for a rest."""
    intent: Json = RAW[PAYMENTS.index(payment)]["data"]["object"]
    charge = {"amount_refunded": intent["amount_received"] - left}
    return intent | {"latest_charge": charge}


def record(view: View) -> BatchRecord:
    """Read the batch."""
    return BatchRecord(BATCH, view.read(KEYS.batch(BATCH)) or {})


def members(view: View) -> dict[str, Member]:
    """Read its members."""
    texts = view.read(KEYS.batch_members(BATCH)) or {}
    return {one: Member.of(json.loads(text)) for one, text in texts.items()}


def _check_ending(before: View, after: View, call: Command) -> None:
    """Check that only a new end of a member's own job moves it."""
    plan = json.loads(argument(call, 0))
    then, now = (members(view)[plan["payment"]] for view in (before, after))
    if _moved(before)[0] == _moved(after)[0]:
        return
    demand(then.job == plan["job"], 24, f"the end of an earlier try moves {then.payment}")
    ends = before.read(KEYS.ended_members()) or ()
    demand({*plan["entries"]} & {*ends}, 24, f"an end that was taken moves {then.payment}")
    demand(replace(then, ended_at=now.ended_at) != now, 24, f"no news moves {then.payment}")


def _check_again(before: View, after: View, call: Command) -> None:
    """Check that a retry moves only what had ended in the state when it was requested."""
    until, state = int(argument(call, 0)), argument(call, 1)
    for one, then in members(before).items():
        due = then.state == state and (then.ended_at or 0) <= until
        demand(due or members(after)[one] == then, 24, f"{one}, {then.state}, is tried again")


def _jobs(payment: str) -> list[str]:
    return [member_job_id(BATCH, payment, tries) for tries in range(MOST_TRIES)]


def _moved(view: View) -> tuple[Any, ...]:
    batch = record(view).fields
    return batch.get("revision"), batch.get("state"), view.read(KEYS.ended_members())


def _check_counts(view: View) -> None:
    """Check that a batch's counts, sums and places match its members."""
    batch, own = record(view), members(view)
    counts: dict[str, int] = {}
    sums: dict[str, int] = {}
    places = {}
    for one, member in own.items():
        counts[member.state] = counts.get(member.state, 0) + 1
        sums[member.sum_name] = sums.get(member.sum_name, 0) + member.amount
        places[one] = float(member.state.number * PLACES_A_STATE + member.n)
    notifications = {name: count for name, count in batch.counts.items() if count}
    demand(notifications == counts, 25, f"the batch counts {notifications}, and it is {counts}")
    summed = {f: int(v) for f, v in batch.fields.items() if f.startswith("amount:") and int(v)}
    demand(summed == {f: v for f, v in sums.items() if v}, 25, f"the batch sums {summed}")
    demand(view.read(KEYS.batch_places(BATCH)) == places, 25, f"the places are not {places}")
    _check_end(batch, counts)


def _check_end(batch: BatchRecord, counts: dict[str, int]) -> None:
    """Check that a batch ended with nothing left to do."""
    if batch.state is BatchState.COMPLETED:
        demand(not batch.count(*OPEN), 25, f"the batch is completed, and its members are {counts}")
        demand(not batch.retries, 13, "the batch is completed before a requested retry")
    if CLOSED in batch.fields:
        rest = batch.count(MemberState.BEGUN, MemberState.WAITING)
        demand(not rest, 25, f"the canceled batch has ended, and its members are {counts}")
