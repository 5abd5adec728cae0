"""A load of webhooks: signed and distinct, over few connections, with little CPU of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import stripe

from chaos.stage import WEBHOOK_SECRET

BUFFER_BYTES = 65_536


def signed_requests(url: str, bodies: Sequence[str]) -> list[bytes]:
    """Build complete HTTP requests in advance, so that sending them costs little CPU."""
    where = urlsplit(url)
    built = []
    for body in bodies:
        payload = body.encode()
        signature = stripe.WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
        head = (
            f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            f"Stripe-Signature: {signature}\r\n\r\n"
        )
        built.append(head.encode() + payload)
    return built


def send(url: str, requests: Sequence[bytes], connections: int) -> list[float]:
    """Send every request once; return the seconds of each. Raises if an answer is not 200."""
    where = urlsplit(url)
    times: list[float] = []
    failed: list[bytes] = []

    def serve(share: Sequence[bytes]) -> None:
        with socket.create_connection((where.hostname, where.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in share:
                sent_at = time.perf_counter()
                connection.sendall(request)
                answer = _answer(connection)
                times.append(time.perf_counter() - sent_at)
                if not answer.startswith(b"HTTP/1.1 200"):
                    failed.append(answer)
                    return

    threads = [
        threading.Thread(target=serve, args=(requests[number::connections],))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[0]
    assert len(times) == len(requests), "a connection broke"
    return sorted(times)


def _answer(connection: socket.socket) -> bytes:
    """Read one complete answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += _more(connection)
    return data


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(BUFFER_BYTES)
    assert more, "the server closed the connection"
    return more
