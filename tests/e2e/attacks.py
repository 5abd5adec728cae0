"""Attacks on a running service, by a stranger or a local user; none may succeed.

Each attempt names the answers that are correct. To attack a running service, set the two keys below
as its `API_KEYS` and `OPERATOR_KEYS`, and run `python -m tests.e2e.attacks` with its ports.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import stripe

API_KEY = "an-api-key-for-the-attack"
OPERATOR_KEY = "an-operators-key-for-the-attack"
STRIPE_KEY = "sk_test_attack_0123456789"
NUMBER = "4242424242424242"
PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
JSON = {"Content-Type": "application/json"}
SECONDS = 10.0
CLOSED = 0  # stands for a status: the connection was closed without an answer
HUNG = -1  # stands for a status: neither answered nor closed in time
LARGEST_ANSWER = 1_000_000
FOREIGN_HOSTS = ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "192.0.2.7")
CLOSED_DOOR = (401, 403, 429)  # 429: too many wrong keys from this address
REFUSALS = (400, 401, 403, 404, 405, 411, 413, 415, 421, 422, 431, 501, CLOSED)


@dataclass(frozen=True)
class Try:
    """One attempt: the bytes of a request, its target, and the statuses that are correct."""

    name: str
    port: str
    request: bytes
    allowed: tuple[int, ...] = REFUSALS
    never: tuple[str, ...] = ("Traceback", "sk_test_", "whsec_", "root:x:")


@dataclass(frozen=True)
class Target:
    """Ports of a running service, by the name of their variable."""

    ports: dict[str, int] = field(default_factory=dict)

    def answer(self, attempt: Try) -> tuple[int, str]:
        """Send an attempt; return the status and the whole answer."""
        data = b""
        with socket.create_connection(("127.0.0.1", self.ports[attempt.port]), SECONDS) as peer:
            peer.settimeout(SECONDS)
            try:
                peer.sendall(attempt.request)
                while len(data) < LARGEST_ANSWER and (more := peer.recv(65_536)):
                    data += more
            except TimeoutError:
                return HUNG, ""
            except ConnectionError:
                pass  # the bytes received before it count
        status_line = re.match(rb"HTTP/1\.[01] (\d{3})", data)
        return int(status_line[1]) if status_line else CLOSED, data.decode(errors="replace")

    def verdict(self, attempt: Try) -> str | None:
        """Describe what is wrong with the answer to an attempt; '' when nothing is."""
        status, text = self.answer(attempt)
        if status not in attempt.allowed:
            return f"{attempt.name}: answered {status}: {text[:300]}"
        words = [word for word in attempt.never if word in text]
        return f"{attempt.name}: showed {words}" if words else None


def http(
    line: str, headers: dict[str, str] | None = None, body: str | bytes = b"", *, host: str = ""
) -> bytes:
    """Build a well-formed request for a single answer."""
    payload = body.encode() if isinstance(body, str) else body
    all_headers = {"Host": host or "127.0.0.1", "Connection": "close"} | (headers or {})
    if payload or line.startswith("POST"):
        all_headers["Content-Length"] = str(len(payload))
    head = "".join(f"{name}: {value}\r\n" for name, value in all_headers.items())
    return f"{line} HTTP/1.1\r\n{head}\r\n".encode() + payload


def bearer(key: str) -> dict[str, str]:
    return JSON | {"Authorization": f"Bearer {key}"}


CALLERS = [
    ("POST /api/payment/process", json.dumps(PAYMENT)),
    ("POST /api/payment/verify", '{"payment_intent_id": "pi_1"}'),
    ("POST /api/refund/process", '{"payment_intent_id": "pi_1"}'),
    ("GET /api/payment/pi_1", ""),
    ("GET /api/refund/re_1", ""),
]
OPERATORS = [
    ("GET /ops/events", ""),
    ("GET /ops/dead-letters", ""),
    ("GET /ops/audit", ""),
    ("GET /ops/items/evt_1", ""),
    ("GET /metrics", ""),
    ("POST /ops/reconcile", '{"by": "x", "reason": "x"}'),
    ("POST /ops/dead-letters/redrive", '{"kind": "events", "by": "x", "reason": "x"}'),
]


def without_the_right_key() -> Iterator[Try]:
    """Send no key, a wrong key, a key of another role, a key in a wrong place."""
    for routes, other in ((CALLERS, OPERATOR_KEY), (OPERATORS, API_KEY)):
        for line, body in routes:
            keys = {
                "no key": JSON,
                "a wrong key": bearer("guessed"),
                "another's key": bearer(other),
            }
            for what, headers in keys.items():
                yield Try(f"{line} with {what}", "PORT", http(line, headers, body), CLOSED_DOOR)
    line, body = CALLERS[0]
    for value in ("", "Bearer", "Bearer ", f"Basic {API_KEY}", API_KEY, f"Bearer {API_KEY[:-1]}"):
        headers = JSON | {"Authorization": value}
        name = f"an Authorization of {value!r}"
        yield Try(name, "PORT", http(line, headers, body), CLOSED_DOOR)
    in_query = f"{line}?key={API_KEY}&authorization=Bearer%20{API_KEY}"
    yield Try("the key in the query", "PORT", http(in_query, JSON, body), CLOSED_DOOR)


def by_a_foreign_name() -> Iterator[Try]:
    """Use a host name that resolves to loopback: DNS rebinding."""
    routes = [
        ("PORT", "POST /api/payment/process", bearer(API_KEY), json.dumps(PAYMENT)),
        ("PORT", "GET /ops/events", bearer(OPERATOR_KEY), ""),
        ("FLOWER_PORT", "GET /workers", {}, ""),
        ("SANDBOX_PORT", "POST /_sandbox/reset", JSON, "{}"),
        ("SANDBOX_PORT", "GET /v1/events", bearer(STRIPE_KEY), ""),
        ("RECEIVER_PORT", "GET /notifications", {}, ""),
    ]
    for port, line, headers, body in routes:
        for host in FOREIGN_HOSTS:
            yield Try(f"{line} as {host}", port, http(line, headers, body, host=host))


def from_a_page() -> Iterator[Try]:
    """Send what a page of another origin can make a browser send."""
    controls = [
        ("SANDBOX_PORT", "POST /_sandbox/reset", "{}"),
        ("SANDBOX_PORT", "POST /_sandbox/clock", '{"advance_seconds": 864000}'),
        ("SANDBOX_PORT", "POST /_sandbox/faults", '{"kind": "error", "times": null}'),
        ("RECEIVER_PORT", "POST /_control/faults", '{"status": 500}'),
        ("RECEIVER_PORT", "POST /api/billing/notifications", '{"type": "payment.succeeded"}'),
    ]
    for port, line, body in controls:
        for headers in (
            JSON | {"Origin": "https://evil.example"},
            JSON | {"Sec-Fetch-Site": "cross-site"},
            {"Content-Type": "text/plain"},
        ):
            yield Try(f"{line} with {headers}", port, http(line, headers, body))
    simple = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "text/plain"}
    body = json.dumps(PAYMENT)
    yield Try("a simple payment", "PORT", http("POST /api/payment/process", simple, body), (415,))


def with_card_data() -> Iterator[Try]:
    """Send card numbers to every place where they might be stored."""
    key = bearer(API_KEY)
    bodies = [
        {"description": f"{NUMBER} 12/34 123"},
        {"description": f"Visa{NUMBER}EUR"},
        {"metadata": {"note": "2223 0031 2200 3222"}},
        {"metadata": {"cvc": "123"}},
        {"metadata": {NUMBER: "x"}},
        {"payment_method": f"pm_{NUMBER}"},
        {"card": {"number": NUMBER}},
        {"customer_email": f"{NUMBER}@example.com"},
    ]
    for more in bodies:
        request = http("POST /api/payment/process", key, json.dumps(PAYMENT | more))
        yield Try(f"card data in {next(iter(more))}", "PORT", request, (400, 422), (NUMBER,))
    for line in (f"GET /api/payment/pi_{NUMBER}", f"GET /api/refund/re_{NUMBER}"):
        yield Try(line, "PORT", http(line, key), (400, 404), (NUMBER,))
    headers = key | {"Idempotency-Key": NUMBER}
    request = http("POST /api/payment/process", headers, json.dumps(PAYMENT))
    yield Try("card data as a key", "PORT", request, (400,), (NUMBER,))
    traced = http("GET /health", {"X-Request-Id": f"pan-{NUMBER}"})
    yield Try("card data as a request id", "PORT", traced, (200,), (NUMBER,))


def as_stripe() -> Iterator[Try]:
    """Pretend to be Stripe."""
    event = json.dumps({"id": "evt_forged", "object": "event", "type": "payment_intent.succeeded"})
    now = int(time.time())
    sign = stripe.WebhookSignature.generate_signature_header
    forged = sign(event, "whsec_guessed", timestamp=now)
    old = sign(event, "whsec_guessed", timestamp=now - 9999)
    headers = {
        "no signature": {},
        "an empty signature": {"Stripe-Signature": ""},
        "a guessed secret": {"Stripe-Signature": forged},
        "an old signature": {"Stripe-Signature": old},
        "another scheme": {"Stripe-Signature": forged.replace("v1=", "v0=")},
        "many signatures": {"Stripe-Signature": f"t={now}" + ",v1=00" * 500},
        "no time": {"Stripe-Signature": forged.partition(",")[2]},
        "a time that is none": {"Stripe-Signature": forged.replace(f"t={now}", "t=NaN")},
    }
    for what, header in headers.items():
        request = http("POST /api/webhook", JSON | header, event)
        yield Try(f"an event with {what}", "PORT", request, (400, 429, 431))


def raw(*lines: str, body: str = "") -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def in_two_meanings() -> Iterator[Try]:
    """Send requests that two servers read differently, or that are not HTTP."""
    post, host = "POST /api/payment/process HTTP/1.1", "Host: 127.0.0.1"
    key, kind = f"Authorization: Bearer {API_KEY}", "Content-Type: application/json"
    body = json.dumps(PAYMENT)
    length, close = f"Content-Length: {len(body)}", "Connection: close"
    whole = (key, kind, length, close)
    chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    doubled = '{"amount": 1, "currency": "sgd", "payment_method": "pm_card_visa", "amount": 1000}'
    tries = {
        "no Host": raw(post, *whole, body=body),
        "two Hosts": raw(post, host, "Host: evil.example", *whole, body=body),
        "a Host with a path": raw(post, "Host: 127.0.0.1/x@evil", *whole, body=body),
        "two keys": raw(post, host, "Idempotency-Key: a", "Idempotency-Key: b", *whole, body=body),
        "two lengths": raw(post, host, *whole, f"Content-Length: {len(body) - 1}", body=body),
        "a negative length": raw(post, host, key, kind, "Content-Length: -1", close, body=body),
        "length and chunks": raw(post, host, *whole, "Transfer-Encoding: chunked", body=chunked),
        "an unknown encoding": raw(post, host, *whole, "Transfer-Encoding: xchunked", body=chunked),
        "a bad chunk": raw(
            post, host, key, kind, close, "Transfer-Encoding: chunked", body="zz\r\n" + body
        ),
        "a space before the colon": raw(
            post, host, key, kind, f"Content-Length : {len(body)}", close, body=body
        ),
        "a folded header": raw(post, host, "X-A: b", " Content-Length: 5", *whole[:2], close),
        "a NUL in a header": raw(post, host, "X-A: b\0c", *whole, body=body),
        "a name twice in the body": http("POST /api/payment/process", bearer(API_KEY), doubled),
        "NaN as an amount": http(
            "POST /api/payment/process", bearer(API_KEY), body.replace("1000", "NaN")
        ),
        "a deep body": http("POST /api/payment/process", bearer(API_KEY), '{"a":' * 9000),
        "a large body": http("POST /api/payment/process", bearer(API_KEY), "x" * 1_200_000),
        "many headers": raw(post, host, *(f"X-{n}: {n}" for n in range(5000)), *whole, body=body),
    }
    for what, request in tries.items():
        yield Try(what, "PORT", request)


def beside_the_path() -> Iterator[Try]:
    """Request files outside the pages, and pages under other paths."""
    for path in (
        "/.env",
        "/../.env",
        "/console/../../.env",
        "/console/..%2f..%2f.env",
        "/console/%2e%2e/%2e%2e/shared/settings.py",
        "/console/....//....//etc/passwd",
        "/docs/../../etc/passwd",
        "/console%00.js",
        "//evil.example/console",
        "/_sandbox/reset",
    ):
        never = ("root:x:", "STRIPE_SECRET_KEY", "Location: //evil")
        yield Try(f"GET {path}", "PORT", http(f"GET {path}"), (400, 401, 404, 405, 308), never)


def through_an_address() -> Iterator[Try]:
    """Return URLs that the service might open or call."""
    for url in ("javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "//evil", "x"):
        body = json.dumps(PAYMENT | {"return_url": url})
        request = http("POST /api/payment/process", bearer(API_KEY), body)
        yield Try(f"return_url {url}", "PORT", request, (400, 422))
    form = bearer(STRIPE_KEY) | {"Content-Type": "application/x-www-form-urlencoded"}
    for host in ("169.254.169.254", "10.0.0.1", "[fe80::1]", "db"):
        body = f"url=http://{host}/x&enabled_events[]=*"
        request = http("POST /v1/webhook_endpoints", form, body)
        yield Try(f"an endpoint at {host}", "SANDBOX_PORT", request, (400,))


GROUPS = (
    without_the_right_key,
    by_a_foreign_name,
    from_a_page,
    with_card_data,
    as_stripe,
    in_two_meanings,
    beside_the_path,
    through_an_address,
)


def all_tries() -> list[Try]:
    """Return all attempts, group by group."""
    return [attempt for group in GROUPS for attempt in group()]


def main() -> None:
    """Attack the service at the ports of the environment; exit with 1 if an attack succeeded."""
    documented = {"PORT": 5001, "SANDBOX_PORT": 12111, "RECEIVER_PORT": 5050, "FLOWER_PORT": 5555}
    ports = {name: int(os.environ.get(name, port)) for name, port in documented.items()}
    target, tries = Target(ports), all_tries()
    verdicts = [verdict for attempt in tries if (verdict := target.verdict(attempt))]
    sys.stdout.write("\n".join([*verdicts, f"{len(tries)} tries, {len(verdicts)} came through\n"]))
    sys.exit(bool(verdicts))


if __name__ == "__main__":
    main()
