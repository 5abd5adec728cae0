"""The sandbox in long use: growth of its memory and files, and the longest wait for an answer."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import requests

from bench._setting import HEADERS, head, pay, row, rss_mb, size_of_run
from chaos.stage import Stage, answers, wait_until

CALLERS = 4
# Seconds between two checks whether the sandbox answers.
LOOK_SECONDS = 0.02
RESTART_LIMIT_SECONDS = 120.0
FIRST_PART = 0.2  # share of the payments after which all one-time allocations are done


def main() -> None:
    """Make payments, refund each third, deliver every event; print memory, files and times."""
    count = size_of_run(3000, 150)
    stage = Stage(
        only=("sandbox", "receiver"),
        SANDBOX_STATE="sandbox.jsonl",
        RECEIVER_STATE="receiver.jsonl",
        SANDBOX_KEEP="",  # as by default
        RECEIVER_KEEP="",
        # Here the receiver plays an endpoint for Stripe's events, which have another signature.
        EVENT_SERVICE_SECRET="",
    )
    stage.services["sandbox"].environment["SANDBOX_WEBHOOK_URL"] = stage.receiver
    with stage:
        run(stage, count)


def run(stage: Stage, count: int) -> None:
    """Measure one run of `count` payments."""
    names = ("sandbox", "receiver")
    first = int(count * FIRST_PART)
    watch = Watch(stage.sandbox + "/_sandbox/clock")
    with watch:
        buy(stage, first)
        before = {name: rss_mb(stage.services[name].pid) for name in names}
        started_at = time.monotonic()
        buy(stage, count - first)
        seconds = time.monotonic() - started_at
        wait_until(lambda: all_delivered(stage), "every event delivered", 60)
    head(f"The sandbox over {count} payments, each third refunded", "what", "sandbox", "receiver")
    after = {name: rss_mb(stage.services[name].pid) for name in names}
    growth = [round((after[name] - before[name]) * 1000 / (count - first), 1) for name in names]
    row("memory at the end, MB", *(after[name] for name in names))
    row("growth of memory for 1,000 payments, MB", *growth)
    row("payments a second", round((count - first) / seconds, 1), "")
    row("longest wait for an answer, ms", round(watch.longest * 1000), "")
    stop = [round(stage.services[name].stop(), 2) for name in names]
    row("time to stop, s", *stop)
    row("files, MB", *(size_mb(stage.folder, name) for name in names))
    again = [restart(stage, name) for name in names]
    row("time to start again, s", *again)


class Watch(threading.Thread):
    """Sends requests repeatedly within its block, and records the longest time of an answer."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.longest = 0.0
        self._url = url
        self._stopped = threading.Event()

    def run(self) -> None:
        """Send requests until the end of the block."""
        with requests.Session() as session:
            while not self._stopped.wait(LOOK_SECONDS):
                asked_at = time.monotonic()
                session.get(self._url, timeout=60).raise_for_status()
                self.longest = max(self.longest, time.monotonic() - asked_at)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sending requests before the servers stop."""
        self._stopped.set()
        self.join()


def buy(stage: Stage, count: int) -> None:
    """Make payments, a few at a time."""
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(lambda number: purchase(stage, number), range(count)))


def purchase(stage: Stage, number: int) -> None:
    """Make one payment, and refund it if its number is a third one."""
    payment = pay(stage)
    if number % 3 == 0:
        refund = {"payment_intent": payment["id"]}
        key = HEADERS | {"Idempotency-Key": f"refund-{payment['id']}"}
        url = f"{stage.sandbox}/v1/refunds"
        requests.post(url, refund, headers=key, timeout=60).raise_for_status()


def all_delivered(stage: Stage) -> bool:
    """Say whether no event of the newest page waits for its endpoint."""
    query = {"limit": "100", "delivery_success": "false"}
    url = f"{stage.sandbox}/v1/events"
    waiting = requests.get(url, query, headers=HEADERS, timeout=60).json()["data"]
    return not waiting


def size_mb(folder: Path, name: str) -> float:
    """Return the size of a process's files in MB."""
    files = [path for path in folder.rglob(f"{name}*") if path.is_file() and path.suffix != ".log"]
    return round(sum(path.stat().st_size for path in files) / 1e6, 2)


def restart(stage: Stage, name: str) -> float:
    """Start a process again with its files; return the seconds until it answers."""
    url = {"sandbox": stage.sandbox + "/_sandbox/clock", "receiver": stage.receiver + "/health"}
    started_at = time.monotonic()
    stage.services[name].start()
    wait_until(lambda: answers(url[name]), f"{name} answers again", RESTART_LIMIT_SECONDS)
    return round(time.monotonic() - started_at, 2)


if __name__ == "__main__":
    main()
