"""A call to Stripe ends at its total deadline, whatever the peer sends."""

from __future__ import annotations

import socket
import time

import pytest

from shared.deadline import deadline
from shared.errors import Unavailable
from shared.stripe.gateway import StripeGateway
from tests import hostile
from tests.conftest import make_settings
from tests.stopwatch import Stopwatch

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
# Seconds that a busy machine may take beyond the deadline.
SLACK_SECONDS = 1.0

DRIPPING = {
    "status line": hostile.drips(b"HTT", b"P"),
    "headers": hostile.drips(OK, b"X-Drip: 1\r\n"),
    "body by length": hostile.drips(OK + b"Content-Length: 100000\r\n\r\n", b" "),
    "body in chunks": hostile.drips(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "interim answers": hostile.drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "nothing": hostile.drips(b"", b"", 30),
}


def call(address: str, **options: object) -> tuple[Unavailable, Stopwatch]:
    settings = make_settings(stripe_api_base=address, **options)
    gateway = StripeGateway(settings, max_network_retries=0)
    with Stopwatch() as watch, pytest.raises(Unavailable) as error:
        gateway.payment("pi_1")
    return error.value, watch


@pytest.mark.parametrize("part", DRIPPING)
def test_a_try_ends_in_time_and_its_connection_is_closed(part: str) -> None:
    with hostile.peer(DRIPPING[part]) as peer:
        error, took = call(peer.url, stripe_timeout_seconds=0.6)
        assert error.code == "stripe_unreachable"
        assert not error.outcome_known
        assert took.clock_seconds > 0.5
        assert took.seconds < 0.6 + SLACK_SECONDS
        assert closed(peer.sockets[0])


def closed(connection: socket.socket) -> bool:
    """Say whether our end is closed: at the latest, the second write to it fails."""
    try:
        for _ in range(20):
            connection.sendall(b" ")
            time.sleep(0.02)
    except OSError:
        return True
    return False


def test_all_tries_of_the_sdk_together_end_in_time() -> None:
    with hostile.peer(DRIPPING["headers"]) as peer:
        settings = make_settings(
            stripe_api_base=peer.url, stripe_timeout_seconds=0.6, stripe_total_seconds=3.0
        )
        with Stopwatch() as watch, pytest.raises(Unavailable):
            StripeGateway(settings, max_network_retries=5).payment("pi_1")
        assert watch.seconds < 3.0 + SLACK_SECONDS
        assert 2 <= peer.connections < 6


def test_the_deadline_of_the_work_at_hand_counts_too() -> None:
    with hostile.peer(DRIPPING["headers"]) as peer:
        with Stopwatch() as watch, deadline(0.5):
            call(peer.url)
        assert watch.seconds < 0.5 + SLACK_SECONDS


@pytest.mark.parametrize(
    "value", [b"\xb2", b"Thu, 01 Jan 99999999999999999999 00:00:00 GMT", b"-1"]
)
def test_a_retry_after_that_is_none_is_ignored(value: bytes) -> None:
    answer = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\nRetry-After: " + value + b"\r\n\r\n{}"
    with hostile.peer(hostile.says(answer)) as peer:
        error, _ = call(peer.url)
        assert error.retry_after_seconds == 5
