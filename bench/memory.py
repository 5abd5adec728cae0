"""The memory of Redis for one event, one waiting notification and one payment."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import cast

from bench._setting import copies, head, real_event, row, settings_of, size_of_run
from chaos.stage import Stage
from shared.store.connection import connect
from shared.store.scripts import Store
from shared.stripe.event import parse_event
from shared.telemetry.logging import configure_logging
from shared.work.inbox import Inbox
from worker.jobs import JOBS
from worker.run import run
from worker.runtime import Runtime

# `billing:payment:pi_…:timeline` is of the kind `payment:*:timeline`.
PART_OF_KEY = re.compile(r"^\{billing\}:(\w+):[^:]+(:\w+)?$")


def main() -> None:
    """Record events and process them without deliveries; print the memory after each step."""
    count = size_of_run(5000, 300)
    with Stage(only=("valkey", "sandbox")) as stage:
        settings = settings_of(stage)
        configure_logging(settings, "bench")
        event = real_event(stage, "payment_intent.succeeded")
        with connect(settings, "bench") as client:
            runtime = Runtime(settings, Store(client))
            inbox = Inbox(runtime.store, settings)
            ids, empty = [], bytes_used(stage)
            for event_id, body in copies(event, count):
                inbox.record(parse_event(body), body, source="webhook")
                ids.append(event_id)
            recorded = bytes_used(stage)
            for event_id in ids:
                run(JOBS["events"], runtime, event_id)
            processed = bytes_used(stage)
        stage.redis.delete("events", "notifications")
        bell_free = bytes_used(stage)
        head(f"Memory, by Redis's own count ({count} items)", "what", "bytes each")
        row("a Stripe event as it came", len(body))
        row("event recorded: payload, doorbell, timeline, indexes", (recorded - empty) // count)
        row("processed: adds payment, waiting notification", (processed - recorded) // count)
        row("of all this, doorbells in the queues", (processed - bell_free) // count)
        head("The same by key (MEMORY USAGE)", "key", "of a payment", "bytes each")
        for kind, (number, size) in sorted(by_kind(stage).items()):
            row(f"`{kind}`", f"{number / count:.2f}", round(size / number))


def bytes_used(stage: Stage) -> int:
    """Return the bytes that the server uses."""
    return int(stage.redis.info("memory")["used_memory"])


def by_kind(stage: Stage) -> dict[str, tuple[int, int]]:
    """Sum keys and bytes by kind of key."""
    sums: defaultdict[str, list[int]] = defaultdict(list)
    for name in cast(list[str], list(stage.redis.scan_iter("{billing}:*", count=1000))):
        parts = PART_OF_KEY.match(name)
        if parts:
            size = stage.redis.memory_usage(name, samples=0)
            sums[f"{parts[1]}:*{parts[2] or ''}"].append(int(cast(int, size)))
    # Leaves out the few keys that are not of items: watermarks, duties, indexes.
    return {kind: (len(sizes), sum(sizes)) for kind, sizes in sums.items() if len(sizes) > 1}


if __name__ == "__main__":
    main()
