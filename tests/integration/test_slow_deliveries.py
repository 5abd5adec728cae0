"""An event service that answers slowly for some payments and quickly for others."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from shared.settings import Settings
from shared.store.scripts import Store
from shared.work.items import Recording, Work
from shared.work.kinds import NOTIFICATIONS
from tests import hostile
from tests.hostile import Peer
from tests.servers import PATIENCE_SECONDS, process, wait_until
from tests.stopwatch import Stopwatch
from worker.side_threads import SideThreads

DRIPPING, HEALTHY = 50, 100
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def record(store: Store, number: int, payment: str) -> None:
    now = store.now_ms()
    fields = {
        "id": f"ntf_{payment}_{number}",
        "type": "payment.succeeded",
        "payment_id": payment,
        "sequence": "1",
        "body": json.dumps({"at_ms": now, "payment": payment}),
        "attempts": "0",
        "crashes": "0",
        "fence": "0",
        "recorded_at": str(now),
    }
    Work(store, NOTIFICATIONS).record(
        Recording(fields["id"], "queued", fields, max_waiting=10_000, payment_id=payment)
    )


@pytest.mark.long
@pytest.mark.slow
def test_dripping_deliveries_hold_up_no_healthy_one(
    settings: Settings, real_store: Store, tmp_path: Path
) -> None:
    delays: list[float] = []

    def behave(peer: Peer, connection: socket.socket, _: int) -> None:
        with suppress(OSError):
            while peer.hear(connection):
                body = json.loads(peer.requests[-1].partition(hostile.HEAD_END)[2])
                if body["payment"].startswith("pi_slow"):
                    connection.sendall(b"HTTP/1.1 200 OK\r\n")
                    return peer.drip(connection, b"X", 0.3)
                delays.append(real_store.now_ms() - body["at_ms"])
                connection.sendall(OK)
        return None

    log = tmp_path / "notifier.log"
    with hostile.peer(behave) as peer:
        environment = {
            "REDIS_URL": settings.redis_url,
            "EVENT_SERVICE_URL": peer.url,
            "WORKER_QUEUES": "notifications",
            "STRIPE_MODE": "test",
            "BILLING_ENV_FILE": "",
        }
        with process(sys.executable, "-m", "worker", environment=environment, log=log) as worker:
            record(real_store, 0, "pi_first")
            wait_until(lambda: delays, "the notifier works")
            delays.clear()
            for number in range(DRIPPING):
                record(real_store, number, f"pi_slow{number}")
            wait_until(lambda: peer.connections >= DRIPPING, "all of them drip")
            for number in range(HEALTHY):
                record(real_store, number, f"pi_well{number}")
                time.sleep(0.02)
            wait_until(lambda: len(delays) >= HEALTHY, "every healthy payment is told")
            worker.terminate()
            with Stopwatch() as watch:
                assert worker.wait(PATIENCE_SECONDS) == 0
            assert watch.seconds < 25
    assert sorted(delays)[round(0.99 * HEALTHY) - 1] < 1000, sorted(delays)[-5:]


def test_only_so_many_attempts_are_in_the_air() -> None:
    side, gate, has_begun = SideThreads(2), threading.Event(), threading.Event()
    side.run(gate.wait)
    side.run(gate.wait)
    third = threading.Thread(target=side.run, args=(has_begun.set,))
    third.start()
    assert not has_begun.wait(0.5)
    gate.set()
    assert has_begun.wait(5)
    third.join()


def test_what_fails_in_time_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        SideThreads(1).run(lambda: 1 / 0)
