"""One run: start the processes and customers, cause failures, wait until work ends, audit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import requests
from redis.exceptions import RedisError

from chaos.audit import Evidence, Findings, audit
from chaos.customers import Customers
from chaos.stage import VALKEY_OPTIONS, Crew, NotQuiet, Stage, wait_until
from chaos.trouble import Trouble
from chaos.unprotected import BY_STAGING
from shared.keys import Keys
from shared.work.kinds import EVENTS, KINDS, NOTIFICATIONS, REFUNDS

Json = dict[str, Any]
STEP_SECONDS = 0.1
# Seconds without work after which the run ends: the sandbox's refunds take up to 5 s.
QUIET_SECONDS = 6.0
LOOK_SECONDS = 1.0
# Waiting events above which no customer begins: on a machine that is too slow, a run would show
# only how a queue grows.
CROWD = 400
CLIENT_PATIENCE_SECONDS = 60.0
BOOKS_LIMIT_SECONDS = 60.0
NO_DISK = VALKEY_OPTIONS.replace("--appendonly yes", "--appendonly no")


@dataclass(frozen=True)
class Plan:
    """The plan of a run. The run ends after `events` events or `duration_seconds`."""

    seed: int = 1
    events: int = 1500
    kills: int = 12
    restarts: int = 8
    freezes: int = 2
    wipes: int = 0
    disturbances: int = 30
    duration_seconds: float = 600.0
    patience_seconds: float = 120.0
    workers: int = 2
    notifiers: int = 1
    customers: int = 12
    skews: tuple[float, ...] = (3.0, -3.0, 7200.0, -7200.0)
    without: str | None = None


@dataclass
class Result:
    """The result of a run."""

    plan: Plan
    findings: Findings
    kills: dict[str, int]
    restarts: dict[str, int]
    freezes: int
    wipes: int
    faults: dict[str, int]
    seconds: float
    seconds_to_quiet: float | None

    @property
    def clean(self) -> bool:
        """Say whether every promise was kept and all work ended."""
        return self.findings.clean and self.seconds_to_quiet is not None


def run(plan: Plan, say: Callable[[str], None]) -> Result:
    """Run the plan once; `say` prints progress."""
    with Stage(**_staging(plan)) as stage:
        say(f"started in {stage.folder}: {', '.join(stage.services)}")
        trouble = Trouble(stage, Random(plan.seed))
        customers = Customers(stage.api, stage.sandbox, plan.seed, plan.customers)
        started_at = time.monotonic()
        customers.start()
        try:
            _storm(plan, customers, trouble, say)
        finally:
            trouble.settle()
            customers.close(CLIENT_PATIENCE_SECONDS)
        calm_at = time.monotonic()
        say(f"calm after {calm_at - started_at:.0f} s; waiting until all work is done")
        quiet_at = _wait_quiet(plan, stage, trouble, say)
        if trouble.wipes:
            customers.look_after_refunds()
            quiet_at = _wait_quiet(plan, stage, trouble, say)
        findings = audit(_evidence(stage, customers, trouble))
        stage.keep = not findings.clean or quiet_at is None
        return Result(
            plan,
            findings,
            dict(trouble.kills),
            dict(trouble.restarts),
            trouble.freezes,
            trouble.wipes,
            dict(trouble.faults),
            calm_at - started_at,
            None if quiet_at is None else quiet_at - calm_at,
        )


def _staging(plan: Plan) -> Json:
    upkeeps = 0 if plan.without == "relay" else 2
    crew = Crew(plan.workers, plan.notifiers, upkeeps)
    staging: Json = {"crew": crew, "skews": plan.skews}
    if plan.without == "disk":
        staging["valkey_options"] = NO_DISK
    elif plan.without and plan.without not in BY_STAGING:
        wrapped = [sys.executable, "-m", "chaos.unprotected", plan.without]
        staging["wrap"] = lambda module: [*wrapped, module]
    return staging


def _storm(plan: Plan, customers: Customers, trouble: Trouble, say: Callable[[str], None]) -> None:
    """Spread the failures evenly over the run, in the order of the seed."""
    stage = trouble.stage
    acts = [trouble.kill] * plan.kills + [trouble.restart] * plan.restarts
    acts += [trouble.freeze] * plan.freezes
    acts += [trouble.wipe] * plan.wipes + [trouble.disturb] * plan.disturbances
    trouble.dice.shuffle(acts)
    total, started_at, tenths = len(acts) + 1, time.monotonic(), 0
    progress = 0.0
    while progress < 1 or acts:
        trouble.run_once()
        customers.admit(waiting(stage) < CROWD)
        progress = max(
            events_in(stage) / plan.events,
            (time.monotonic() - started_at) / plan.duration_seconds,
        )
        if acts and progress >= (total - len(acts)) / total:
            acts.pop()()
        if int(progress * 10) > tenths:
            tenths = int(progress * 10)
            say(f"{tenths * 10} %: {events_in(stage)} events, {sum(trouble.kills.values())} kills")
        time.sleep(STEP_SECONDS)


def waiting(stage: Stage) -> int:
    """Count the events that are not processed; 0 while Redis is down."""
    try:
        return int(stage.redis.zcard(Keys().due(EVENTS)))
    except RedisError:
        return 0


def events_in(stage: Stage) -> int:
    """Count the events that the service recorded; 0 while Redis is down."""
    try:
        return int(stage.redis.zcard(Keys().index(EVENTS)))
    except RedisError:
        return 0


def _wait_quiet(
    plan: Plan, stage: Stage, trouble: Trouble, say: Callable[[str], None]
) -> float | None:
    """Wait until all work has ended and stays ended; return when, None when it never ended."""
    quiet_since: list[tuple[int, float]] = []

    def quiet() -> bool:
        trouble.run_once()
        events = events_in(stage)
        if open_work(stage) or events < len(books_of(stage)["events"]):
            quiet_since.clear()
            return False
        if not quiet_since or quiet_since[0][0] != events:
            quiet_since[:] = [(events, time.monotonic())]
        time.sleep(LOOK_SECONDS)
        return time.monotonic() - quiet_since[0][1] > QUIET_SECONDS

    try:
        wait_until(quiet, "everything is done", plan.patience_seconds)
    except NotQuiet as problem:
        say(f"{problem}; still open: {open_work(stage)}")
        return None
    return quiet_since[0][1]


def open_work(stage: Stage) -> dict[str, int]:
    """Count the open work by kind; empty when there is none."""
    kinds = (EVENTS, REFUNDS, NOTIFICATIONS)
    try:
        left = {kind.name: int(stage.redis.zcard(Keys().due(kind))) for kind in kinds}
        left |= {f"{k.name}_rung": int(stage.redis.llen(Keys().queue(k))) for k in KINDS.values()}
        left |= {f"{k.name}_dead": int(stage.redis.zcard(Keys().dead(k))) for k in kinds}
    except RedisError:
        return {"valkey_down": 1}
    return {name: count for name, count in left.items() if count and "_dead" not in name}


def books_of(stage: Stage) -> Json:
    """Read the sandbox's books."""
    answer = requests.get(f"{stage.sandbox}/_sandbox/books", timeout=BOOKS_LIMIT_SECONDS)
    answer.raise_for_status()
    books: Json = answer.json()
    return books


def _evidence(stage: Stage, customers: Customers, trouble: Trouble) -> Evidence:
    books = books_of(stage)
    received = requests.get(f"{stage.receiver}/notifications", timeout=BOOKS_LIMIT_SECONDS).json()
    ledger = customers.ledger
    answers = [request.answer[1] for request in ledger.refunds if request.answer]
    jobs = [answer["refund_request_id"] for answer in answers if "refund_request_id" in answer]
    return Evidence(
        books=books,
        notifications=received["data"],
        payments=ledger.payments,
        refunds=ledger.refunds,
        events=_hashes(stage, "event", [event["id"] for event in books["events"]]),
        refund_jobs={job: _look_up(stage, job) for job in jobs},
        died=trouble.died,
        stopped_badly=trouble.stopped_badly,
        wiped=trouble.wipes > 0,
    )


def _hashes(stage: Stage, item: str, ids: list[str]) -> dict[str, dict[str, str]]:
    pipe = stage.redis.pipeline(transaction=False)
    for item_id in ids:
        pipe.hgetall(Keys().item(KINDS[f"{item}s"], item_id))
    return dict(zip(ids, pipe.execute(), strict=True))


def _look_up(stage: Stage, job: str) -> Json:
    answer = requests.get(f"{stage.api}/api/refund/{job}", timeout=BOOKS_LIMIT_SECONDS)
    refund: Json = answer.json()
    return refund
