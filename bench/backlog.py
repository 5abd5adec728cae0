"""An outage of the event service: 100,000 notifications wait until it returns.

The worker's memory must not grow with the backlog, and the backlog must drain at a bounded rate, in
order within each payment.
"""

from __future__ import annotations

import threading
import time

from bench._event_service import Ledger, serve
from bench._setting import head, real_event, row, rss_mb, size_of_run
from bench._staging import stage_notifications
from chaos.stage import Crew, Stage, wait_until
from shared.keys import Keys
from shared.stripe.event import Event, parse_event
from shared.work.kinds import NOTIFICATIONS

PER_PAYMENT = 4
# Seconds: long enough for several pauses and probes of the breaker.
OUTAGE_SECONDS = size_of_run(30, 5)
DRAIN_LIMIT_SECONDS = 1800.0
SAMPLE_SECONDS = 0.5


class Samples(threading.Thread):
    """Records the largest resident memory of some processes."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(daemon=True)
        self._pids, self._enough = pids, threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        """Take samples until `stop`."""
        while not self._enough.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, *(rss_mb(pid) for pid in self._pids))

    def stop(self) -> float:
        """Stop, and return the peak in MB."""
        self._enough.set()
        self.join()
        return self.peak_mb


def main() -> None:
    """Build the backlog while the event service is down, then start it and measure."""
    count = size_of_run(100_000, 2_000)
    roles = ("valkey", "sandbox", "worker", "upkeep")
    with Stage(only=roles, crew=Crew(workers=1), LOG_LEVEL="ERROR") as stage:
        event = parse_event(real_event(stage, "payment_intent.succeeded"))
        worker = stage.services["worker-1"].pid
        stage_notifications(stage, event, 1, PER_PAYMENT)
        head(f"Outage with {count} notifications waiting, one worker", "what", "figure")
        row("worker before, MB", rss_mb(worker))
        outage(stage, worker, event, count)
        recovery(stage, worker, count + PER_PAYMENT)


def outage(stage: Stage, worker: int, event: Event, count: int) -> None:
    """Build the backlog, and measure during the outage."""
    samples = Samples([worker])
    samples.start()
    started_at = time.monotonic()
    stage_notifications(stage, event, count // PER_PAYMENT, PER_PAYMENT)
    row("staged, per second", round(count / (time.monotonic() - started_at)))
    time.sleep(OUTAGE_SECONDS)
    row("payments that wait", backlog(stage))
    row("doorbells in the queue", int(stage.redis.llen(Keys().queue(NOTIFICATIONS))))
    row("worker during the outage, peak MB", samples.stop())
    row("store, MB", round(int(stage.redis.info("memory")["used_memory"]) / 1e6))


def recovery(stage: Stage, worker: int, count: int) -> None:
    """Start the event service, and measure while the backlog drains."""
    samples, ledger = Samples([worker]), Ledger()
    samples.start()
    server = serve(int(stage.receiver.rpartition(":")[2]), ledger)
    back_at = time.monotonic()
    wait_until(lambda: ledger.count, "the first delivery", DRAIN_LIMIT_SECONDS)
    row("first delivery after it came back, s", f"{time.monotonic() - back_at:.1f}")
    wait_until(lambda: not backlog(stage), "the backlog drains", DRAIN_LIMIT_SECONDS)
    drained_in = time.monotonic() - back_at
    server.shutdown()
    server.server_close()
    row("drained in, s", f"{drained_in:.0f}")
    most = max(ledger.by_second.values())
    row("deliveries per second: mean, most", f"{ledger.count / drained_in:.0f}, {most}")
    row("worker while it drains, peak MB", samples.stop())
    outcome = f"{ledger.count}, {ledger.repeated}, {len(ledger.disorder)}"
    row("delivered, repeated, out of order", outcome)
    # Reconcile also finds the payment from which the events were copied, and notifies of it.
    assert ledger.count == count + 1, f"{ledger.count} came"
    assert not ledger.disorder, ledger.disorder[:3]


def backlog(stage: Stage) -> int:
    """Count the payments with a notification that is not delivered yet."""
    return int(stage.redis.zcard(Keys().due(NOTIFICATIONS)))


if __name__ == "__main__":
    main()
