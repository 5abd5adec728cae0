"""The HTTP server, byte by byte: what it refuses, cuts off, and serves meanwhile."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.front import grace_seconds
from api.serving import Arbiter
from local.embedded_valkey import valkey_binary
from shared.settings import Settings
from shared.store.scripts import Store
from tests import servers
from tests.conftest import make_settings
from tests.integration.doors import close_doors, open_door
from tests.integration.hands import Hands
from tests.servers import PATIENCE_SECONDS
from tests.stopwatch import Stopwatch

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /api/payment/process HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
# Seconds in which a request is refused when too many wait already.
REFUSED_WITHIN_SECONDS = 0.1
PAYMENT = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}


def port_of(client: FlaskClient) -> int:
    return client.application.wsgi_app.port  # type: ignore[attr-defined,no-any-return]  # a Door


@contextmanager
def talk(client: FlaskClient, request_bytes: bytes) -> Iterator[socket.socket]:
    where = ("127.0.0.1", port_of(client))
    with socket.create_connection(where, timeout=PATIENCE_SECONDS) as line:
        line.sendall(request_bytes)
        yield line


def reply_to(client: FlaskClient, request_bytes: bytes) -> bytes:
    """Send bytes; return everything until the server closes the connection."""
    with talk(client, request_bytes) as line:
        return everything(line)


def everything(line: socket.socket) -> bytes:
    answer = b""
    while part := line.recv(65_536):
        answer += part
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


KEY = b"Idempotency-Key: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (POST + KEY + b"Idempotency-Key: b\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + KEY + KEY + b"Content-Length: 2\r\n\r\n{}", 400),
        (POST + b"Stripe-Account: acct_1\r\nstripe-account: acct_2\r\n\r\n", 400),
        (POST + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: 2, 2\r\n\r\n{}", 400),
        (POST + b"Content-Length: -2\r\n\r\n{}", 400),
        (POST + b"Transfer-Encoding: gzip, chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + CHUNKED + b"\r\nzz\r\n", 400),
        (POST.replace(b"1.1", b"1.0") + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + b"Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (GET + b"Host: localhost\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: user@localhost\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost:99999999\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: localhost/..\r\n\r\n", 400),
        (b"GET http://other/health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET health HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (GET + b" folded: yes\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET /health HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (GET + b"X-Long: " + b"a" * 33_000 + b"\r\n\r\n", 431),
        (GET + b"X-Long: " + b"a" * 40_000, 431),
        (GET + b"".join(b"X-%d: a\r\n" % n for n in range(101)) + b"\r\n", 431),
        (POST + b"Content-Length: 2000000\r\n\r\n", 413),
        (POST + CHUNKED + b"\r\n" + b"1e8480\r\n" + b" " * 1_100_000, 413),
        (POST + CHUNKED + b"\r\n" + b"1\r\n \r\n" * 2_000, 400),
    ],
)
def test_what_has_two_meanings_or_no_bounds_is_refused(
    client: FlaskClient, request_bytes: bytes, status: int
) -> None:
    answer = reply_to(client, request_bytes)
    assert status_of(answer) == status, answer
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + b"\r\n",
        b"\r\n" + GET + b"\r\n",
        b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        GET + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n",
        b"GET /health HTTP/1.0\r\n\r\n",
        GET + b"Cookie: a=1\r\nCookie: b=2\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: [::1]:5001\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost:\t localhost \t\r\n\r\n",
    ],
)
def test_what_is_only_unusual_is_answered(client: FlaskClient, request_bytes: bytes) -> None:
    closing = request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert (
        status_of(reply_to(client, closing if b"Upgrade" not in request_bytes else request_bytes))
        == 200
    )


@pytest.mark.parametrize("path", [b"//api/webhook", b"/%61pi/webhook", b"///%61pi%2fwebhook%2f"])
def test_a_route_has_one_class_however_its_path_is_written(
    client: FlaskClient, path: bytes
) -> None:
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    answer = reply_to(client, head + b"Content-Length: 2\r\n\r\n{}")
    assert (status_of(answer), b"invalid_signature" in answer) == (400, True), answer


def test_a_request_about_the_whole_server_is_about_no_route(client: FlaskClient) -> None:
    answer = reply_to(client, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (status_of(answer), b"route_not_found" in answer) == (404, True), answer


def test_payments_wait_for_no_thread_of_another_class(hands: Hands) -> None:
    """A payment whose path is written in another way has the threads of payments, too."""
    delay_payments(hands, 1.5, None)
    body = json.dumps(PAYMENT).encode()
    head = b"POST //api/%70ayment/process HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with ExitStack() as lines:
        for _ in range(6):
            lines.enter_context(talk(hands.client, head + body))
        time.sleep(0.2)
        watch = time.monotonic()
        assert hands.client.get("/api/payments").status_code == 200
        assert time.monotonic() - watch < 1


def test_spaces_around_a_value_are_no_part_of_it(client: FlaskClient) -> None:
    request_bytes = POST + b"X-Request-Id:\t a-b \t \r\nConnection: close\r\n"
    answer = reply_to(client, request_bytes + b"Content-Length: 2\r\n\r\n{}")
    assert status_of(answer) == 422
    assert b"\r\nX-Request-Id: a-b\r\n" in answer


def test_requests_in_one_piece_are_answered_in_their_order(client: FlaskClient) -> None:
    first = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: one\r\n\r\n"
    second = GET + b"X-Request-Id: two\r\n\r\n"
    last = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = reply_to(client, first + second + last)
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [404, 200, 404]
    assert answer.index(b"one") < answer.index(b"two")


def test_a_refusal_waits_for_the_answers_before_it(client: FlaskClient) -> None:
    answer = reply_to(
        client, b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"no request\r\n\r\n"
    )
    assert [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]] == [404, 400]


def test_a_client_that_asks_first_is_told_to_go_on(client: FlaskClient) -> None:
    with talk(client, POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") as line:
        assert line.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"{}")
        assert status_of(line.recv(65_536)) == 422


def test_a_trailer_is_no_header(client: FlaskClient) -> None:
    trailed = b"2\r\n{}\r\n0\r\nX-Request-Id: from-the-trailer\r\n\r\n"
    answer = reply_to(client, POST + b"Connection: close\r\n" + CHUNKED + b"\r\n" + trailed)
    assert status_of(answer) == 422
    assert b"from-the-trailer" not in answer


def test_a_header_with_an_underscore_is_not_another_header(client: FlaskClient) -> None:
    request_bytes = (
        POST + b"Idempotency_Key: abc\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    )
    answer = reply_to(client, request_bytes)
    assert status_of(answer) == 422
    assert b"Idempotency-Key: abc" not in answer


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> FlaskClient:
    """Serve with short deadlines, for which a test can wait."""
    for name, seconds in (("HEAD", 0.6), ("BODY", 1.2), ("IDLE", 0.6), ("BODY_GRACE", 0.3)):
        monkeypatch.setattr(f"api.http1.{name}_SECONDS", seconds)
    monkeypatch.setattr("api.http1.LOOK_SECONDS", 0.1)
    return open_door(settings)


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + b"X-More: ",
        POST + b'Content-Length: 1000\r\n\r\n{"amount": 1',
        POST + CHUNKED + b'\r\n5\r\n{"a":\r\n',
    ],
)
def test_half_a_request_is_cut_off(hasty: FlaskClient, request_bytes: bytes) -> None:
    with Stopwatch() as watch:
        assert status_of(reply_to(hasty, request_bytes)) == 408
    assert watch.seconds < 3


@pytest.mark.parametrize("start", [GET, POST + b"Content-Length: 5000\r\n\r\n"])
def test_a_request_that_comes_byte_by_byte_is_cut_off(hasty: FlaskClient, start: bytes) -> None:
    with Stopwatch() as watch, talk(hasty, start) as line:
        answer = answer_to(line, b"a")
    assert status_of(answer) == 408
    assert watch.seconds < 5


def answer_to(line: socket.socket, piece: bytes) -> bytes:
    """Send a piece repeatedly until there is an answer."""
    line.settimeout(0.05)
    while True:
        line.sendall(piece)
        with suppress(TimeoutError):
            return line.recv(4096)


@pytest.mark.parametrize("first", [b"", GET + b"\r\n"])
def test_a_connection_that_says_nothing_more_is_closed(hasty: FlaskClient, first: bytes) -> None:
    began = time.monotonic()
    with Stopwatch() as watch, talk(hasty, first) as line:
        answer = everything(line)
    assert answer.count(b"HTTP/1.1 200 OK") == bool(first)
    assert time.monotonic() - began > 0.3
    assert watch.seconds < 3


def test_a_client_that_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr("api.http1.UNREAD_SECONDS", 0.5)
    monkeypatch.setattr("api.http1.LOOK_SECONDS", 0.1)
    client = open_door(settings)
    with talk(client, b"") as line:
        line.settimeout(1)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            ask_without_end(line)


def ask_without_end(line: socket.socket) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with suppress(TimeoutError):
            line.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")


def test_a_crowd_of_silent_connections_gives_way_to_a_request(settings: Settings) -> None:
    client = open_door(settings.model_copy(update={"max_connections": 16}))
    with ExitStack() as stack:
        silent = [stack.enter_context(talk(client, b"")) for _ in range(40)]
        for _ in range(5):
            assert client.get("/health").status_code == 200
        silent[0].settimeout(1)
        assert everything(silent[0]) == b""


def test_bodies_together_have_a_limit(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.http1.BODIES_BYTES", 50_000)
    half = POST + b"Content-Length: 40000\r\n\r\n" + b" " * 30_000
    with talk(client, half):
        wait_until_refused(client, half)
        assert client.get("/health").status_code == 200
    assert client.post("/api/payment/verify", json={}).status_code == 422


def wait_until_refused(client: FlaskClient, half: bytes) -> None:
    answer = reply_to(client, half)
    assert status_of(answer) == 503
    assert b"Retry-After: 1" in answer


def delay_payments(hands: Hands, seconds: float, times: int | None) -> None:
    match = {"method": "POST", "path_prefix": "/v1/payment_intents"}
    hands.break_stripe(match=match, phase="after", kind="delay", delay_seconds=seconds, times=times)


def test_payments_beyond_the_bound_are_refused_at_once_and_nobody_else_waits(
    hands: Hands, settings: Settings
) -> None:
    hands.pay()
    event = hands.events()[-1]
    delay_payments(hands, 5, times=1)
    narrow = {"api_threads": 1, "api_waiting": 0, "stripe_timeout_seconds": 20}
    hands.client = open_door(settings.model_copy(update=narrow))
    first = threading.Thread(target=hands.pay)
    first.start()
    events_before = len(hands.events())
    servers.wait_until(lambda: len(hands.events()) > events_before, "Stripe has the first in hand")
    key = {"Idempotency-Key": "order-1"}
    seconds = []
    for _ in range(9):
        with Stopwatch() as watch:
            refusal = hands.client.post("/api/payment/process", json=PAYMENT, headers=key)
        seconds.append(watch.seconds)
        assert (refusal.status_code, refusal.get_json()["code"]) == (503, "too_busy")
        assert refusal.headers["Retry-After"] == "1"
    assert median(seconds) < REFUSED_WITHIN_SECONDS
    assert hands.client.get("/health").status_code == 200
    assert hands.client.get("/metrics").status_code == 200
    assert hands.client.get("/ops/queues").status_code == 200
    assert hands.post_event(event).status_code == 200
    assert first.is_alive(), "somebody waited for the first"
    first.join()
    payment = hands.client.post("/api/payment/process", json=PAYMENT, headers=key)
    assert (payment.status_code, payment.headers.get("Idempotent-Replayed")) == (200, None)


def test_a_request_has_one_deadline_and_its_outcome_is_found_later(
    hands: Hands, settings: Settings
) -> None:
    delay_payments(hands, 4, times=1)
    patient = settings.model_copy(
        update={"request_timeout_seconds": 1.5, "stripe_timeout_seconds": 10}
    )
    client = open_door(patient)
    key = {"Idempotency-Key": "order-2"}
    with Stopwatch() as watch:
        late = client.post("/api/payment/process", json=PAYMENT, headers=key)
    assert late.status_code == 503, late.get_json()
    assert watch.seconds < 3
    until = time.monotonic() + PATIENCE_SECONDS
    while (again := client.post("/api/payment/process", json=PAYMENT, headers=key)).status_code:
        if again.status_code == 200 or time.monotonic() > until:
            break
        assert again.status_code in (409, 503)
        time.sleep(0.2)
    assert again.status_code == 200
    successes = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    assert [e["data"]["object"]["id"] for e in successes] == [again.get_json()["payment_intent_id"]]


@pytest.mark.parametrize(("proxies", "second"), [(0, 429), (1, 400)])
def test_who_a_proxy_speaks_for_is_believed_only_when_it_is_trusted(
    real_store: Store, proxies: int, second: int
) -> None:
    settings = make_settings(bad_signatures_per_minute=1, trusted_proxies=proxies)
    client = open_door(settings, real_store)
    statuses = [
        client.post(
            "/api/webhook",
            data="{}",
            headers={"X-Forwarded-For": f"6.6.6.6, 10.0.0.{number}"},
        ).status_code
        for number in range(2)
    ]
    assert statuses == [400, second]


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[FlaskClient]:
    """Serve with a Redis that answers once and then hangs."""
    port = servers.free_port()
    command = [str(valkey_binary()), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with servers.process(*command, log=tmp_path / "valkey.log") as server:
        client = open_door(make_settings(redis_url=f"redis://127.0.0.1:{port}/0"))
        servers.wait_until(lambda: client.get("/health/ready").status_code == 200, "it answers")
        server.send_signal(signal.SIGSTOP)
        yield client
        server.send_signal(signal.SIGCONT)


def test_a_redis_that_hangs_is_named_in_time(frozen: FlaskClient) -> None:
    for path, seconds in (("/health/ready", 2.7), ("/metrics", 5), ("/health", 0.5)):
        with Stopwatch() as watch:
            answer = frozen.get(path)
        assert watch.seconds < seconds, path
        if path == "/health/ready":
            assert answer.status_code == 503
            assert answer.get_json()["checks"] == {"redis": "unreachable"}
    with Stopwatch() as watch:
        refusal = frozen.post("/api/payment/process", json=PAYMENT)
    assert (refusal.status_code, refusal.get_json()["code"]) == (503, "store_unavailable")
    assert watch.seconds < 8


@pytest.mark.parametrize("seconds", [5, 25, 120])
def test_a_process_that_stops_has_time_for_the_longest_request(seconds: int) -> None:
    settings = make_settings(request_timeout_seconds=seconds)
    grace = grace_seconds(settings)
    # Accepted in its last second, and answered by the server a second after its deadline.
    assert seconds + 2 < grace < seconds + 5
    arbiter = Arbiter(settings, lambda: pytest.fail("it is not started"))
    assert arbiter.cfg.graceful_timeout > grace


def test_a_front_that_stops_waits_for_its_grace_and_no_longer(
    hands: Hands, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.pay()
    events_before = len(hands.events())
    delay_payments(hands, 6, times=1)
    monkeypatch.setattr("api.front.grace_seconds", lambda _: 1.0)
    hands.client = open_door(settings.model_copy(update={"stripe_timeout_seconds": 20}))
    payer = threading.Thread(target=lambda: suppress_errors(hands.pay))
    payer.start()
    servers.wait_until(lambda: len(hands.events()) > events_before, "Stripe has it in hand")
    began = time.monotonic()
    with Stopwatch() as watch:
        close_doors()
    assert time.monotonic() - began >= 1
    assert watch.seconds < 4
    payer.join()


def suppress_errors(act: Callable[[], object]) -> None:
    with suppress(Exception):
        act()


def test_whom_the_kernel_has_connected_is_answered_though_the_front_stops(
    client: FlaskClient,
) -> None:
    door: Any = client.application.wsgi_app
    with ExitStack() as stack:
        with door.stopping():
            lines = [stack.enter_context(talk(client, GET + b"\r\n")) for _ in range(20)]
        assert [status_of(everything(line)) for line in lines] == [200] * 20
