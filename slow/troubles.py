"""The kinds of slowness: each is a context in which a peer or a client is slow; all on loopback."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil
import requests

from chaos.stage import Stage, wait_until
from slow.probe import OK, PATIENCE_SECONDS, pay, status
from slow.relay import Manner, Relay

# The work of a kind of slowness in the main thread, for this many seconds, during the probes.
Act = Callable[[float], None]
MANY, HUNDREDS, PAYERS, SPENDERS = 2_000, 200, 64, 4
STRIPE_SECONDS = 8.0
REDIS_FROZEN_SECONDS = 20.0
BUYERS, LEISURE_SECONDS, SIGNALS = 8, 2.0, 2
SLOW, DRIP, LEISURELY = "slowly, please", "drop by drop", "at leisure"
# As in the form that the SDK sends.
MARKS = {
    b"slowly": Manner(delay_seconds=STRIPE_SECONDS),
    b"drop+by": Manner(drips=True),
    b"leisure": Manner(delay_seconds=LEISURE_SECONDS),
}
HEAD = b"POST /api/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
HALF_HEAD = HEAD + b"X-More: "
HALF_BODY = HEAD + b"Content-Length: 1000\r\n\r\n" + b'{"amount": 1'
HALF_CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n" + b'{"a":\r\n'
# Preface, SETTINGS, and HEADERS of POST /api/webhook without END_STREAM (RFC 9113).
HTTP2 = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + bytes.fromhex("000000040000000000")
    + bytes.fromhex("00001b010400000001")
    + b"\x83\x86\x44\x0c/api/webhook\x41\x09127.0.0.1"
)


@contextmanager
def quiet(_: Stage, __: Relay) -> Iterator[None]:
    """Do nothing, for comparison."""
    yield


@contextmanager
def stripe_slow(stage: Stage, _: Relay) -> Iterator[None]:
    """Make 64 payments at a time wait for a Stripe that answers after 8 s."""
    with crowd(PAYERS, lambda: pay(stage.api, SLOW)):
        yield


@contextmanager
def stripe_drips(stage: Stage, _: Relay) -> Iterator[None]:
    """Make 64 payments at a time wait for a Stripe that sends a byte every 3 s."""
    with crowd(PAYERS, lambda: pay(stage.api, DRIP)):
        yield


@contextmanager
def silent_sockets(stage: Stage, _: Relay) -> Iterator[None]:
    """Open 2,000 connections and send nothing."""
    with hold_connections(stage, MANY, b""):
        yield


@contextmanager
def half_heads(stage: Stage, _: Relay) -> Iterator[None]:
    """Send 200 heads that do not end."""
    with hold_connections(stage, HUNDREDS, HALF_HEAD):
        yield


@contextmanager
def half_bodies(stage: Stage, _: Relay) -> Iterator[None]:
    """Send 200 bodies that do not end."""
    with hold_connections(stage, HUNDREDS, HALF_BODY):
        yield


@contextmanager
def half_chunks(stage: Stage, _: Relay) -> Iterator[None]:
    """Send 200 bodies in chunks that do not end."""
    with hold_connections(stage, HUNDREDS, HALF_CHUNKS):
        yield


@contextmanager
def http2_prefaces(stage: Stage, _: Relay) -> Iterator[None]:
    """Begin 200 requests of HTTP/2 that do not end."""
    with hold_connections(stage, HUNDREDS, HTTP2):
        yield


@contextmanager
def idle_keep_alive(stage: Stage, _: Relay) -> Iterator[None]:
    """Send one request on each of 2,000 connections and keep them open."""
    with hold_connections(stage, MANY, b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        yield


@contextmanager
def redis_frozen(stage: Stage, _: Relay) -> Iterator[None]:
    """Freeze Redis, as a hanging disk or machine does."""
    stage.services["valkey"].send(signal.SIGSTOP)
    thaw = threading.Timer(REDIS_FROZEN_SECONDS, stage.services["valkey"].send, (signal.SIGCONT,))
    thaw.start()
    try:
        yield
    finally:
        thaw.cancel()
        stage.services["valkey"].send(signal.SIGCONT)


@contextmanager
def redis_slow(_: Stage, redis: Relay) -> Iterator[None]:
    """Make Redis answer after a second."""
    before, redis.manner = redis.manner, Manner(delay_seconds=1.0)
    try:
        yield
    finally:
        redis.manner = before


@contextmanager
def costly_texts(stage: Stage, _: Relay) -> Iterator[None]:
    """Send requests that are expensive to check: long texts, headers, thousands of fields."""
    kinds = costly_requests(stage.api)
    turns = itertools.cycle(kinds)
    with crowd(SPENDERS, lambda: next(turns)()):  # noqa: PLW0108  # another one each time
        yield


@contextmanager
def process_stopped(stage: Stage, _: Relay) -> Iterator[None]:
    """Freeze one of the API's processes, as a debugger or a defect does."""
    family = psutil.Process(stage.services["api"].pid).children(recursive=True)
    serving = [one for one in family if not one.children()]
    serving[-1].suspend()
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            serving[-1].resume()


def hung_up(stage: Stage, _: Relay) -> AbstractContextManager[Act]:
    """Make the API replace its processes repeatedly, with payments in progress."""
    return _send_signals(stage, signal.SIGHUP)


def terminated(stage: Stage, _: Relay) -> AbstractContextManager[Act]:
    """Stop the API and start it again, with payments in progress."""
    return _send_signals(stage, signal.SIGTERM)


def terminal_closed(stage: Stage, _: Relay) -> AbstractContextManager[Act]:
    """Stop the API by both signals, as a closed terminal does, and start it again."""
    return _send_signals(stage, signal.SIGHUP, signal.SIGTERM)


@contextmanager
def _send_signals(stage: Stage, *numbers: signal.Signals) -> Iterator[Act]:
    """Send signals a few times while payments wait for Stripe; each must be answered 200."""
    statuses: list[int | str] = []

    def act(seconds: float) -> None:
        for _ in range(SIGNALS):
            time.sleep(seconds / SIGNALS)
            for number in numbers:
                stage.services["api"].send(number)
            if signal.SIGTERM in numbers:
                _start_anew(stage)

    with crowd(BUYERS, lambda: statuses.append(status(lambda: pay(stage.api, LEISURELY)))):
        yield act
    if set(statuses) != {OK}:
        raise AssertionError(f"payments in progress were answered {statuses}")


def _start_anew(stage: Stage) -> None:
    wait_until(lambda: not stage.services["api"].alive, "the API ends", PATIENCE_SECONDS)
    stage.services["api"].start()


@contextmanager
def hold_connections(stage: Stage, count: int, first: bytes) -> Iterator[None]:
    """Keep this many connections open, on each of which something was sent."""
    where = urlsplit(stage.api)
    with ExitStack() as stack:
        for _ in range(count):
            with contextlib.suppress(OSError):
                address = (where.hostname, where.port)
                client = stack.enter_context(socket.create_connection(address, timeout=5))
                client.sendall(first)
        yield


@contextmanager
def crowd(count: int, act: Callable[[], object], *, over_seconds: float = 0) -> Iterator[None]:
    """Run this many threads that act repeatedly; they begin together, or spread over a time."""
    end = threading.Event()

    def go_on(number: int) -> None:
        end.wait(over_seconds * number / count)
        while not end.is_set():
            with contextlib.suppress(requests.RequestException):
                act()

    threads = [
        threading.Thread(target=go_on, args=(number,), daemon=True) for number in range(count)
    ]
    for thread in threads:
        thread.start()
    time.sleep(max(1.0, over_seconds))
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join(timeout=PATIENCE_SECONDS)


def costly_requests(url: str) -> list[Callable[[], requests.Response]]:
    """Build requests that are more expensive than they look."""
    accents = ('{"description": "a' + "\u0315\u0300" * 40_000 + '"}').encode()
    fields = ("{" + ",".join(f'"m{number}":1' for number in range(105_000)) + "}").encode()
    plain = {"Content-Type": "application/json"}
    commas = plain | {"Stripe-Signature": "," * 390_000}

    def post(path: str, body: bytes, headers: dict[str, str]) -> requests.Response:
        return requests.post(url + path, body, headers=headers, timeout=PATIENCE_SECONDS)

    return [
        lambda: post("/api/payment/process", accents, plain),
        lambda: post("/api/webhook", b"{}", commas),
        lambda: post("/api/payment/process", fields, plain),
    ]


TROUBLES = (
    quiet,
    stripe_slow,
    stripe_drips,
    silent_sockets,
    half_heads,
    half_bodies,
    half_chunks,
    http2_prefaces,
    idle_keep_alive,
    redis_frozen,
    redis_slow,
    costly_texts,
    process_stopped,
    hung_up,
    terminated,
    terminal_closed,
)
