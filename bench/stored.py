"""Whether the worker's cost of an event depends on how much is stored and how much waits.

Redis contains up to a million processed events with their payments and notifications, and 100,000
notifications that wait for a later time. At each step the same worker processes the same number of
new events, each with its notification.
"""

from __future__ import annotations

import json
import re
import sys
import time
from itertools import islice

from bench._setting import copies, cpu_cost, head, real_event, row, settings_of, size_of_run
from chaos.stage import Service, Stage, wait_until
from shared.keys import Keys
from shared.store.connection import connect
from shared.store.scripts import Store
from shared.stripe.event import parse_event
from shared.work.inbox import Inbox
from shared.work.kinds import EVENTS, NOTIFICATIONS

STORED = [size_of_run(number, number // 1000) for number in (0, 250_000, 500_000, 1_000_000)]
WAITING = size_of_run(100_000, 100)
NEW = size_of_run(3_000, 100)
LIMIT_SECONDS = 600.0
POLL_SECONDS = 0.005
# Copies in one call, which occupies the server for some milliseconds.
AT_ONCE = 1_000
LATER_MS = 12 * 3_600_000
WORKER = [sys.executable, "-m", "bench._worker", "off", "2"]
# Copies each source to another name, and adds the copies to an index of items.
COPY = """
local sources, first, count = cjson.decode(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for number = first, first + count - 1 do
  local tail = string.format('%014d', number)
  for source, pattern in pairs(sources) do
    redis.call('COPY', source, (string.gsub(pattern, '@', tail)))
  end
  redis.call('ZADD', KEYS[1], ARGV[4], ARGV[5] .. tail)
end
"""
ID = re.compile(r"(?<=:)(evt|pi|ntf|req)_\w+")


class Filling:
    """A worker's Redis, with copies of the keys that one event left."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        event = real_event(stage, "payment_intent.succeeded")
        self._new = copies(event, NEW * (len(STORED) + 1))
        self._copied = 0
        stage.redis.flushall()
        # A rewrite of gigabytes during the run would be measured, too.
        stage.redis.config_set("auto-aof-rewrite-percentage", 0)
        self.work(waiting=0)
        self.stored = NEW
        self._sources = self._left_by_one()

    def work(self, waiting: int) -> float:
        """Let a worker process new events; return its CPU time for each in ms."""
        settings = settings_of(self.stage)
        with connect(settings, "bench") as client:
            inbox = Inbox(Store(client), settings)
            for _, body in islice(self._new, NEW):
                inbox.record(parse_event(body), body, source="webhook")
        worker = Service("worker", WORKER, self.stage.environment, self.stage.folder)
        worker.start()
        try:
            wait_until(lambda: self._open(waiting) < NEW, "the worker begins", LIMIT_SECONDS)
            before = self._open(waiting)
            _, cost = cpu_cost(worker.pid, lambda: self._drain(waiting))
        finally:
            worker.stop()
        return cost.cpu_seconds / before * 1000

    def _open(self, waiting: int) -> int:
        """Count the open items without the waiting ones; events are followed by notifications."""
        keys, redis = Keys(), self.stage.redis
        events, notifications = redis.zcard(keys.due(EVENTS)), redis.zcard(keys.due(NOTIFICATIONS))
        return min(NEW, max(events, notifications - waiting))

    def _drain(self, waiting: int) -> None:
        give_up_at = time.monotonic() + LIMIT_SECONDS
        while self._open(waiting):
            assert time.monotonic() < give_up_at, f"{self._open(waiting)} items are left"
            time.sleep(POLL_SECONDS)

    def _left_by_one(self) -> dict[str, str]:
        """Return every lasting key of one event, with the pattern for the names of its copies.

        The payload is left out: it is stored for days, and copies of it would fill the machine.
        """
        redis = self.stage.redis
        event = f"evt_{next(iter(redis.scan_iter('{billing}:event:*'))).partition('evt_')[2]}"
        event = event.partition(":")[0]
        payment = redis.hget(Keys().item(EVENTS, event), "payment_id")
        notifications = [
            name
            for name in redis.scan_iter("{billing}:notification:ntf_*")
            if redis.type(name) == "hash" and redis.hget(name, "payment_id") == payment
        ]
        ids = (event, str(payment), str(notifications[0]).rpartition(":")[2])
        names = [
            name
            for name in redis.scan_iter("{billing}:*")
            if any(i in name for i in ids) and not name.endswith(":body")
        ]
        return {name: ID.sub(r"\1_@", name) for name in names}

    def copy(self, count: int, index: str, prefix: str, only: str = "") -> None:
        """Copy the keys of one event `count` times; with `only`, just those that contain it."""
        sources = json.dumps({n: p for n, p in self._sources.items() if only in n})
        score = self.stage.redis.time()[0] * 1000 + LATER_MS
        for first in range(self._copied, self._copied + count, AT_ONCE):
            size = min(AT_ONCE, self._copied + count - first)
            self.stage.redis.eval(COPY, 1, index, sources, first, size, score, prefix)
        self._copied += count


def main() -> None:
    """Fill Redis step by step; print the cost of an event at each, as a table and as a plot."""
    with Stage(only=("valkey", "sandbox", "receiver")) as stage:
        filling, keys, costs = Filling(stage), Keys(), []
        filling.copy(WAITING, keys.due(NOTIFICATIONS), "ntf_", only=":notification:")
        head(
            f"An event and its notification, while {WAITING} notifications wait",
            *("events stored", "CPU ms", "first = 1", "Redis, GB"),
        )
        for number in STORED:
            filling.copy(max(0, number - filling.stored), keys.index(EVENTS), "evt_")
            filling.stored = max(number, filling.stored)
            costs.append(filling.work(WAITING))
            gigabytes = int(stage.redis.info("memory")["used_memory"]) / 1e9
            row(number, f"{costs[-1]:.2f}", f"{costs[-1] / costs[0]:.2f}", f"{gigabytes:.2f}")
            filling.stored += NEW
        plot(costs)


def plot(costs: list[float]) -> None:
    """Print the costs as a Mermaid diagram for Markdown."""
    steps = ", ".join(f'"{number:,}"' for number in STORED)
    print("\n```mermaid\nxychart-beta")
    print('    title "CPU of an event and its notification, by events stored (first = 1)"')
    print(f"    x-axis [{steps}]")
    print('    y-axis "first = 1" 0 --> 2')
    print(f"    line [{', '.join(f'{cost / costs[0]:.2f}' for cost in costs)}]\n```")


if __name__ == "__main__":
    main()
