"""The webhook door: what recording a signed event costs, beside other doors.

All behind the same server with one process and four threads; every event is distinct.
"""

from __future__ import annotations

import socket
import sys

from bench._load import send, signed_requests
from bench._setting import copies, head, real_event, row, scaled, spent
from chaos.stage import Service, Stage, wait_until

ROUTE = "/api/webhook"
WARM_UP = 200


def main() -> None:
    """Measure the doors and print their figures."""
    count, connections = scaled(4000, 300), 8
    roles = ("valkey", "sandbox")
    with Stage(only=roles, API_WORKERS="1", API_THREADS="4", LOG_LEVEL="INFO") as stage:
        event = real_event(stage, "payment_intent.succeeded")
        doors = {
            "bare Flask route": granian(stage, "bench._doors:bare"),
            "verify, one script, nothing else": granian(stage, "bench._doors:least"),
            "construct_event + task.delay": granian(stage, "bench._doors:usual"),
            "ours: verify, record, ring": [sys.executable, "-m", "api"],
        }
        head(
            f"Webhook door ({count} distinct events, {connections} connections)",
            *("door", "requests/s", "p50 ms", "p99 ms", "CPU ms per request", "CPU, bare = 1"),
        )
        bare_cpu = 0.0
        for name, command in doors.items():
            rate, p50, p99, cpu = measure(stage, command, event, count, connections)
            bare_cpu = bare_cpu or cpu
            times = f"{cpu / bare_cpu:.1f}"
            row(name, f"{rate:.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu:.2f}", times)


def granian(stage: Stage, target: str) -> list[str]:
    """Give the command line that serves a WSGI application as our API is served."""
    port = stage.api.rpartition(":")[2]
    server = [sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws", "--port", port]
    return [*server, "--workers", "1", "--blocking-threads", "4", "--no-access-log", target]


def measure(
    stage: Stage, command: list[str], event: dict[str, object], count: int, connections: int
) -> tuple[float, float, float, float]:
    """Serve with the command, send the events; give requests/s, p50, p99 and CPU ms per request."""
    stage.redis.flushall()
    door = Service("door", command, stage.environment, stage.folder)
    door.start()
    try:
        url = stage.api + ROUTE
        wait_until(lambda: _listens(stage), "the door listens", 30)
        bodies = [body for _, body in copies(event, count + WARM_UP)]
        built = signed_requests(url, bodies)
        send(url, built[:WARM_UP], connections)
        taken, cost = spent(door.pid, lambda: send(url, built[WARM_UP:], connections))
    finally:
        door.stop()
    p50, p99 = taken[len(taken) // 2] * 1000, taken[int(len(taken) * 0.99)] * 1000
    return count / cost.seconds, p50, p99, cost.cpu_seconds * 1000 / count


def _listens(stage: Stage) -> bool:
    host, _, port = stage.api.removeprefix("http://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
