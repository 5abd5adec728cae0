"""The cost of recording a signed event, in API and Redis, compared with other webhook routes.

Each has one process; granian serves the other routes with four threads. Every event is distinct,
has the size of a real one, and is counted in Redis afterwards.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench._load import send, signed_requests
from bench._setting import Json, copies, cpu_seconds, head, real_event, row, size_of_run
from chaos.stage import Service, Stage, wait_until
from shared.keys import Keys
from shared.work.kinds import EVENTS

ROUTE = "/api/webhook"
WARM_UP = 200
EVENT_BYTES = 3_300
CONNECTIONS = 16


@dataclass(frozen=True)
class Door:
    """A server for webhooks, with the way to count the events that it stored."""

    name: str
    command: list[str]
    count_stored: Callable[[Stage], int] | None = None


@dataclass(frozen=True)
class Cost:
    """The cost of a run: CPU in ms for a thousand events, latencies in ms."""

    rate: float
    p50: float
    p99: float
    server: float
    store: float

    @property
    def cpu(self) -> float:
        """The CPU of the server and of Redis together."""
        return self.server + self.store


def main() -> None:
    """Measure all doors and print the figures."""
    count = size_of_run(8000, 300)
    with Stage(
        only=("valkey", "sandbox"), API_WORKERS="1", API_THREADS="4", LOG_LEVEL="INFO"
    ) as stage:
        event = pad(real_event(stage, "payment_intent.succeeded"))
        stage.services["sandbox"].stop()  # its own events must not be counted
        head(
            f"Webhook door ({count} distinct events of 3.3 KB, {CONNECTIONS} connections)",
            *("door", "requests/s", "p50 ms", "p99 ms", "server", "store", "both", "÷ HMAC only"),
        )
        first: Cost | None = None
        for door in doors(stage):
            cost = measure(stage, door, event, count)
            first = first or cost
            figures = (cost.rate, cost.server, cost.store, cost.cpu)
            rate, server, store, both = (f"{figure:.0f}" for figure in figures)
            times = f"{cost.cpu / first.cpu:.2f}"
            row(door.name, rate, f"{cost.p50:.1f}", f"{cost.p99:.1f}", server, store, both, times)


def doors(stage: Stage) -> list[Door]:
    """List the doors; all others are compared with the first."""
    return [
        Door("Flask that only checks the HMAC", granian(stage, "bench._doors:checked")),
        Door("bare Flask route", granian(stage, "bench._doors:bare")),
        Door(
            "verify, one script, nothing else",
            granian(stage, "bench._doors:least"),
            lambda stage: int(stage.redis.llen("events")),
        ),
        Door(
            "construct_event + task.delay",
            granian(stage, "bench._doors:usual"),
            lambda stage: int(stage.redis.llen("celery")),
        ),
        Door(
            "ours: verify, record, ring",
            [sys.executable, "-m", "api"],
            lambda stage: int(stage.redis.zcard(Keys().due(EVENTS))),
        ),
    ]


def pad(event: Json) -> Json:
    """Pad the event to the size of a real one, which has more fields than the sandbox's."""
    lacking = EVENT_BYTES - len(json.dumps(event, indent=2))
    event["data"]["object"]["description"] = "x" * max(0, lacking)
    return event


def granian(stage: Stage, target: str) -> list[str]:
    """Return the command line that serves a WSGI application."""
    port = stage.api.rpartition(":")[2]
    server = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--port", port]
    return [*server, "--workers", "1", "--blocking-threads", "4", "--no-access-log", target]


def measure(stage: Stage, door: Door, event: Json, count: int) -> Cost:
    """Start the door, send the events and count them; return their cost."""
    stage.redis.flushall()
    service = Service("door", door.command, stage.environment, stage.folder)
    service.start()
    try:
        wait_until(lambda: _listens(stage), "the door listens", 30)
        bodies = [body for _, body in copies(event, count + WARM_UP)]
        built = signed_requests(stage.api + ROUTE, bodies)
        send(stage.api + ROUTE, built[:WARM_UP], CONNECTIONS)
        pids = (service.pid, stage.services["valkey"].pid)
        before, began = [cpu_seconds(pid) for pid in pids], time.perf_counter()
        times = send(stage.api + ROUTE, built[WARM_UP:], CONNECTIONS)
        seconds = time.perf_counter() - began
        server, store = (
            (cpu_seconds(pid) - was) * 1e6 / count for pid, was in zip(pids, before, strict=True)
        )
        stored = door.count_stored(stage) if door.count_stored else count + WARM_UP
        assert stored == count + WARM_UP, f"{door.name} kept {stored} of {count + WARM_UP}"
    finally:
        service.stop()
    p50, p99 = times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000
    return Cost(count / seconds, p50, p99, server, store)


def _listens(stage: Stage) -> bool:
    host, _, port = stage.api.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
