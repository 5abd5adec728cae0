"""The index of payments: the speed of lists of 200,000, and the memory and time of Redis."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import requests

from bench._setting import HEADERS, copies, head, pay, row, settings_of, size_of_run
from chaos.stage import Stage
from shared.settings import Settings
from shared.store import sources
from shared.store.connection import connect
from shared.store.scripts import Call, Store
from shared.stripe.event import parse_event
from shared.telemetry.logging import configure_logging
from shared.work.inbox import Inbox
from shared.work.payment_index import PaymentFilter, PaymentIndex, members
from shared.work.payments import PaymentRecord, Payments
from worker.jobs import JOBS
from worker.run import run
from worker.runtime import Runtime

Json = dict[str, Any]
# Payments of one event (a concert hall) and of one user.
OF_AN_EVENT, OF_A_USER = 1_000, 4
# One payment in this many is canceled.
CANCELED_EACH = 500
CHUNK = 1_000
NEWEST = 1_790_000_000
STEPS = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
INDEXING = ("'ZADD', key.payment_index", "'ZREM', key.payment_index")


def main() -> None:
    """Measure all three and print their figures."""
    with Stage(only=("valkey", "sandbox", "api")) as stage:
        settings = settings_of(stage)
        configure_logging(settings, "bench")
        with connect(settings, "bench") as client:
            settling(stage, settings, Watched(Store(client)))
            stage.redis.flushall()
            listing(stage, settings, Store(client))


def settling(stage: Stage, settings: Settings, store: Watched) -> None:
    """Compare the settling script with and without the index, in turns event by event."""
    count = size_of_run(300, 20)
    events = story(stage)
    head(
        f"The script that settles: {count} payments, three events each",
        *("event", "median without the index, us", "with it, us", "ratio"),
    )
    times: dict[str, dict[str, list[int]]] = {name: {"without": [], "with": []} for name in STEPS}
    for name, event in events.items():
        texts = list(copies(event, 2 * count))
        for number in range(0, 2 * count, 2):
            for kind, (event_id, body) in zip(("without", "with"), texts[number:], strict=False):
                times[name][kind].append(settled(settings, store, kind, event_id, body))
    for name in STEPS:
        without, indexed = (statistics.median(times[name][kind]) for kind in ("without", "with"))
        row(name, f"{without:.0f}", f"{indexed:.0f}", f"{indexed / without:.2f}")


def story(stage: Stage) -> dict[str, Json]:
    """Make a payment; return its events by type, oldest first."""
    intent = pay(stage)["id"]
    address = f"{stage.sandbox}/v1/events"
    events = requests.get(address, {"limit": "20"}, headers=HEADERS, timeout=5).json()["data"]
    own = {event["type"]: event for event in events if intent in json.dumps(event["data"])}
    return {name: own[name] for name in STEPS}


class Watched(Store):
    """A store that measures Redis's time for settling, with or without the index."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.redis, store.keys)
        lines = sources.script_source("settle").splitlines()
        rest = [line for line in lines if not any(part in line for part in INDEXING)]
        self._without = self.redis.register_script("\n".join(rest))
        self.kind, self.microseconds = "with", 0

    def run(self, call: Call) -> Any:
        """Run a script; Redis itself measures the time of a settling one."""
        if call.script != "settle":
            return super().run(call)
        before = self._script_time()
        if self.kind == "with":
            result = super().run(call)
        else:
            result = self._without(keys=call.flat_keys(), args=list(call.args))
        self.microseconds = self._script_time() - before
        return result

    def _script_time(self) -> int:
        usage: Json = self.redis.info("commandstats")
        return int(usage["cmdstat_evalsha"]["usec"])


def settled(settings: Settings, store: Watched, kind: str, event_id: str, body: str) -> int:
    """Process an event; return the microseconds that Redis needed to settle it."""
    store.kind = kind
    Inbox(store, settings).record(parse_event(body), body, source="webhook")
    run(JOBS["events"], Runtime(settings, store), event_id)
    return store.microseconds


def listing(stage: Stage, settings: Settings, store: Store) -> None:
    """Fill Redis with payments, index them, and list them through the API."""
    count = size_of_run(200_000, 2_000)
    stage.redis.config_set("appendonly", "no")
    payments = Payments(store, settings.payment_retention_seconds)
    index = PaymentIndex(store, payments, settings.indexed_metadata)
    pattern = _settled_payment(stage, settings, store)
    empty = _used_bytes(stage)
    _write(store, pattern, settings, count, index=False)
    stated = _used_bytes(stage)
    _write(store, pattern, settings, count, index=True)
    head(f"Memory of {count} payments", "what", "bytes each")
    row("its state", (stated - empty) // count)
    row(
        "the index: one member for each thing it is found by",
        (_used_bytes(stage) - stated) // count,
    )
    row("members each", f"{stage.redis.zcard(store.keys.payment_index()) / count:.1f}")
    last = next(index.walk(PaymentFilter(until=NEWEST - count // 2))).record.id
    head(f"GET /api/payments over {count} payments", "which", "p50 ms", "p99 ms")
    for name, query in _queries(last, count).items():
        times = _response_times(stage, query)
        row(name, *(f"{times[int(len(times) * share)] * 1000:.1f}" for share in (0.5, 0.99)))


def _queries(last: str, count: int) -> dict[str, Json]:
    middle = NEWEST - count // 2
    return {
        "the newest 10": {},
        "the newest 100": {"limit": 100},
        "100 of an event": {"event_id": "e1", "limit": 100},
        "10 of an event, succeeded": {"event_id": "e1", "status": "succeeded"},
        "the canceled of an event": {"event_id": "e1", "status": "canceled"},
        "all of a user": {"user_id": "u7"},
        "one order": {"order_id": "o77"},
        "all of an address": {"email": "guest-7@example.com"},
        "10 canceled": {"status": "canceled"},
        "10 from the middle of the time": {"created[gte]": middle, "created[lt]": middle + 3600},
        "100 after half of all": {"starting_after": last, "limit": 100},
        "a user's within an event": {"event_id": "e0", "user_id": "u7"},
    }


def _response_times(stage: Stage, query: Json) -> list[float]:
    times = []
    with requests.Session() as session:
        for _ in range(size_of_run(300, 20)):
            before = time.perf_counter()
            answer = session.get(f"{stage.api}/api/payments", params=query, timeout=10)
            times.append(time.perf_counter() - before)
            answer.raise_for_status()
            if not answer.json()["data"]:
                raise SystemExit(f"Nothing is listed for {query}.")
    return sorted(times)


def _settled_payment(stage: Stage, settings: Settings, store: Store) -> PaymentRecord:
    """Settle one real payment; return its record."""
    runtime = Runtime(settings, store)
    event_id = ""
    for event in story(stage).values():
        ((event_id, body),) = copies(event, 1)
        Inbox(store, settings).record(parse_event(body), body, source="webhook")
        run(JOBS["events"], runtime, event_id)
    payment_id = str(store.fields(_event(store, event_id), "payment_id")[0])
    return runtime.payments.read(payment_id)


def _event(store: Store, event_id: str) -> str:
    return store.keys.item(JOBS["events"].kind, event_id)


def _write(
    store: Store, pattern: PaymentRecord, settings: Settings, count: int, *, index: bool
) -> None:
    """Write copies of one payment, or their members of the index."""
    rest = iter(_copies(pattern, count))
    for _ in range(0, count, CHUNK):
        pipe = store.redis.pipeline(transaction=False)
        for record, text in islice(rest, CHUNK):
            if index:
                names = members(record, settings.indexed_metadata)
                pipe.zadd(store.keys.payment_index(), dict.fromkeys(names, 0))
            else:
                fields: list[str | int] = ["id", record.id, "known", text, "revision", 3]
                pipe.hset(store.keys.payment(record.id), items=fields)
        pipe.execute()


def _copies(pattern: PaymentRecord, count: int) -> Iterator[tuple[PaymentRecord, str]]:
    """Yield copies, one a second, of many events, users, orders and e-mail addresses."""
    text = json.dumps(pattern.known, separators=(",", ":"))
    for number in range(count):
        payment_id = f"{pattern.id[:-7]}{number:07d}"
        payment_state = json.loads(text.replace(pattern.id, payment_id))
        state = payment_state["subjects"][payment_id]
        user = number // OF_A_USER
        metadata = {
            "event_id": f"e{number // OF_AN_EVENT}",
            "user_id": f"u{user}",
            "order_id": f"o{number}",
        }
        status = "succeeded" if number % CANCELED_EACH else "canceled"
        state["snapshot"] |= {"metadata": metadata, "created": NEWEST - count + number}
        state["snapshot"]["status"] = state["status"] = status
        state["said"] = {
            "event_id": metadata["event_id"],
            "user_id": metadata["user_id"],
            "customer_email": f"guest-{user}@example.com",
        }
        record = replace(pattern, id=payment_id, known=payment_state, heard_at_ms=NEWEST)
        yield record, json.dumps(payment_state, separators=(",", ":"))


def _used_bytes(stage: Stage) -> int:
    return int(stage.redis.info("memory")["used_memory"])


if __name__ == "__main__":
    main()
