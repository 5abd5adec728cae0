"""Faulty event services: each behaviour has a named failure, and the attempt ends in time."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests import hostile
from tests.conftest import make_settings
from tests.hostile import Behaviour, Peer, drips, resets_after, says
from tests.stopwatch import Stopwatch
from worker import event_service
from worker.event_service import KEPT_ANSWER_BYTES, Answer, EventService

SECONDS = 1.0
# Seconds that a busy machine may take beyond the deadline.
SLACK_SECONDS = 1.0
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
BOMB = gzip.compress(bytes(5_000_000))
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def status(line: bytes, headers: bytes = b"", body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (line, headers, len(body), body)


def says_nothing(peer: Peer, connection: socket.socket, _: int) -> None:
    peer.hear(connection)
    peer.closing.wait(30)


def hangs_up(peer: Peer, connection: socket.socket, _: int) -> None:
    peer.hear(connection)


def endless_chunks(peer: Peer, connection: socket.socket, _: int) -> None:
    peer.hear(connection)
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    with suppress(OSError):
        while not peer.closing.is_set():
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SUCCESS, DRIPPED = "taken", "no_answer_in_time"
# Behaviour, the failure that it counts as, and the text of the answer where it is stored.
TABLE: dict[str, tuple[Behaviour, str, str | None]] = {
    "200": (says(status(b"200 OK", body=b"thanks")), SUCCESS, "thanks"),
    "204": (says(b"HTTP/1.1 204 No Content\r\n\r\n"), SUCCESS, ""),
    "202 without a reason": (says(b"HTTP/1.1 202\r\n" + EMPTY), SUCCESS, ""),
    "HTTP/1.0, until it closes": (says(b"HTTP/1.0 200 OK\r\n\r\nold"), SUCCESS, "old"),
    "299": (says(status(b"299 Odd")), SUCCESS, ""),
    "no length, closed": (says(OK + b"\r\n" + b"fine"), SUCCESS, "fine"),
    "plain text called gzip": (
        says(status(b"200 OK", b"Content-Encoding: gzip\r\n", b'{"ok":true}')),
        SUCCESS,
        '{"ok":true}',
    ),
    "cut gzip": (says(OK + b"Content-Encoding: gzip\r\n\r\n" + BOMB[:50]), SUCCESS, None),
    "a gzip bomb": (says(status(b"200 OK", b"Content-Encoding: gzip\r\n", BOMB)), SUCCESS, None),
    "an unknown encoding": (
        says(status(b"200 OK", b"Content-Encoding: x\r\n", b"a")),
        SUCCESS,
        "a",
    ),
    "body shorter than it says": (
        says(OK + b"Content-Length: 1000\r\n\r\nhello"),
        SUCCESS,
        "hello",
    ),
    "body longer than it says": (says(OK + b"Content-Length: 2\r\n\r\nhello"), SUCCESS, "he"),
    "two lengths": (
        says(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        SUCCESS,
        None,
    ),
    "a length that is none": (says(OK + b"Content-Length: five\r\n\r\nhello"), SUCCESS, "hello"),
    "a bad chunk size": (says(CHUNKED + b"zz\r\nhello"), SUCCESS, ""),
    "chunks cut off": (says(CHUNKED + b"10\r\nhello"), SUCCESS, "hello"),
    "a negative chunk": (says(CHUNKED + b"-5\r\nhello"), SUCCESS, None),
    "chunks without end": (endless_chunks, SUCCESS, "x" * KEPT_ANSWER_BYTES),
    "a reset after the head": (resets_after(OK + b"Content-Length: 9\r\n\r\nabc"), SUCCESS, None),
    "a body that drips": (drips(OK + b"Content-Length: 9999\r\n\r\n", b"a"), SUCCESS, None),
    "chunks that drip": (drips(CHUNKED, b"1\r\na\r\n"), SUCCESS, None),
    "bytes that are no text": (says(status(b"200 OK", body=b"\xff\xfe\x00")), SUCCESS, None),
    "103, then 200": (says(EARLY, status(b"200 OK")), SUCCESS, ""),
    "102 and 199, then 204": (
        says(b"HTTP/1.1 102 P\r\n\r\n", 0.1, b"HTTP/1.1 199 X\r\n\r\n", status(b"204 N")),
        SUCCESS,
        "",
    ),
    "100, then 500": (says(b"HTTP/1.1 100 C\r\n\r\n", status(b"500 No", body=b"!")), "status", "!"),
    "the status line drips": (drips(b"HTT", b"P"), DRIPPED, None),
    "the headers drip": (drips(OK, b"X-Drip: 1\r\n"), DRIPPED, None),
    "a header line drips": (drips(OK, b"x"), DRIPPED, None),
    "interim answers drip": (drips(b"", b"HTTP/1.1 100 C\r\n\r\n", 0.02), DRIPPED, None),
    "interim answers without end": (says(b"HTTP/1.1 100 C\r\n\r\n" * 5000), "not_http", None),
    "no answer": (says_nothing, DRIPPED, None),
    "no answer before the end": (hangs_up, "reset", None),
    "a reset instead of an answer": (resets_after(b""), "reset", None),
    "a cut status line": (says(b"HTTP/1.1 200"), "reset", None),
    "a cut header": (says(OK + b"Content-Le"), "reset", None),
    "a head without end": (says(OK + b"X-A: 1\r\n"), "reset", None),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), "not_http", None),
    "HTTP/2 spoken": (says(b"HTTP/2 200\r\n\r\n"), "not_http", None),
    "a status that is no number": (says(b"HTTP/1.1 abc OK\r\n\r\n"), "not_http", None),
    "a status line of 100 kB": (
        says(b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n"),
        "not_http",
        None,
    ),
    "a header of 100 kB": (says(OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n"), "not_http", None),
    "a thousand headers": (says(OK + b"X: a\r\n" * 1000 + b"\r\n"), "not_http", None),
    "a redirect": (says(status(b"302 Found", b"Location: http://127.0.0.1:1/\r\n")), "status", ""),
    "400 with a reason": (says(status(b"400 Bad", body=b"no such ticket")), "status", None),
    "410": (says(status(b"410 Gone")), "status", ""),
    "101": (says(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "status", None),
    "500 whose body drips": (drips(b"HTTP/1.1 500 No\r\n\r\n", b"a"), "status", None),
}


def service(url: str, **options: object) -> EventService:
    own_settings = {"event_service_url": url, "event_service_timeout_seconds": SECONDS}
    return EventService(make_settings(**(own_settings | options)))


def attempt(url: str) -> tuple[Answer, float]:
    with Stopwatch() as watch:
        posting = service(url)
        answer = posting.post(b'{"id":"evt_1"}', {"webhook-id": "evt_1"})
        posting.close()
    return answer, watch.seconds


@pytest.mark.parametrize("name", TABLE)
def test_each_behaviour_is_taken_for_what_it_is_and_ends_in_time(name: str) -> None:
    behaviour, outcome, text = TABLE[name]
    with hostile.peer(behaviour) as peer:
        answer, took = attempt(peer.url)
        assert (answer.failure or SUCCESS) == outcome, answer
        assert took < SECONDS + SLACK_SECONDS
        assert len(peer.requests) == 1
    assert (answer.error == "") == (outcome == SUCCESS)
    assert len(answer.text) <= KEPT_ANSWER_BYTES
    assert text is None or answer.text == text


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://127.0.0.1:1", "connect_refused"),
        ("http://no-such-host.invalid", "dns"),
        ("http://a..b", "dns"),
        ("http://127.0.0.1:0", "connect_refused"),
    ],
)
def test_who_cannot_be_reached_is_named(url: str, failure: str) -> None:
    answer = EventService(make_settings().model_copy(update={"event_service_url": url})).post(
        b"{}", {}
    )
    assert answer.failure == failure, answer
    assert answer.detail
    assert answer.peer_is_ill


def test_a_peer_that_takes_no_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full listen queue drops connections: nothing answers the first packet."""
    monkeypatch.setattr(event_service, "CONNECT_TIMEOUT_SECONDS", 0.4)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        filling = [socket.socket() for _ in range(4)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(address)
        answer, took = attempt(f"http://127.0.0.1:{address[1]}")
        for each in filling:
            each.close()
    assert answer.failure == "connect_timeout", answer
    assert took < 0.4 + SLACK_SECONDS


def test_a_name_server_that_does_not_answer_is_waited_for_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(4))
    answer, took = attempt("http://event-service.test")
    assert answer.failure == "dns", answer
    assert took < SECONDS + SLACK_SECONDS


def behind_tls(behaviour: Behaviour, certificate: tuple[Path, Path]) -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def behave(peer: Peer, connection: socket.socket, number: int) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
            behaviour(peer, wrapped, number)

    return behave


def test_a_certificate_of_nobody_is_named(certificate: tuple[Path, Path]) -> None:
    with hostile.peer(behind_tls(says(status(b"200 OK")), certificate)) as peer:
        answer, _ = attempt(peer.url.replace("http:", "https:"))
    assert answer.failure == "tls", answer
    assert "certificate" in answer.detail.lower()


@pytest.mark.parametrize("behaviour", [says(status(b"400 Plain HTTP")), says_nothing])
def test_who_speaks_no_tls_is_named(behaviour: Behaviour) -> None:
    with hostile.peer(behaviour) as peer:
        answer, took = attempt(peer.url.replace("http:", "https:"))
    assert answer.failure == "tls", answer
    assert took < SECONDS + SLACK_SECONDS


@pytest.mark.parametrize("part", ["the headers drip", "a body that drips", "200"])
def test_the_deadline_holds_behind_tls(
    part: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour, outcome, _ = TABLE[part]
    monkeypatch.setattr("shared.http_transport.DEFAULT_CA_BUNDLE_PATH", str(certificate[0]))
    with hostile.peer(behind_tls(behaviour, certificate)) as peer:
        answer, took = attempt(peer.url.replace("http:", "https:"))
    assert (answer.failure or SUCCESS) == outcome, answer
    assert took < SECONDS + SLACK_SECONDS


def closes_at(request: int, how: Callable[[socket.socket], None]) -> Behaviour:
    """Keep connections alive, but close the first one instead of sending its n-th answer."""

    def behave(peer: Peer, connection: socket.socket, number: int) -> None:
        for count in range(1, 100):
            if not peer.hear(connection) or (number == 1 and count == request):
                break
            connection.sendall(status(b"200 OK", body=b"ok"))
        how(connection)

    return behave


@pytest.mark.parametrize("how", [lambda connection: None, hostile.reset])
def test_a_pooled_connection_that_the_peer_closes_is_replaced_at_once(
    how: Callable[[socket.socket], None],
) -> None:
    with hostile.peer(closes_at(2, how)) as peer:
        posting = service(peer.url)
        answers = [posting.post(b"{}", {"webhook-id": str(n)}) for n in range(4)]
        assert [answer.failure for answer in answers] == [""] * 4
        assert peer.connections == 2
        posting.close()


def test_a_fresh_connection_that_the_peer_closes_is_a_failure() -> None:
    with hostile.peer(hangs_up) as peer:
        assert attempt(peer.url)[0].failure == "reset"
        assert peer.connections == 1


@pytest.mark.parametrize(
    ("behaviour", "connections"),
    [
        (says(status(b"200 OK", body=b"ok"), close=False), 1),
        (says(status(b"500 No", body=b"ok"), close=False), 1),
        (says(CHUNKED + b"2\r\nok\r\n0\r\n\r\n", close=False), 1),
        (says(b"HTTP/1.1 204 N\r\n\r\n", close=False), 1),
        (says(status(b"200 OK", body=b"x" * 100_000), close=False), 3),
        (says(OK + b"Content-Length: 9\r\n\r\nok", close=False), 3),
        (says(status(b"200 OK", b"Connection: close\r\n"), close=False), 3),
    ],
)
def test_only_what_was_read_whole_is_used_again(behaviour: Behaviour, connections: int) -> None:
    with hostile.peer(behaviour) as peer:
        posting = service(peer.url)
        for _ in range(3):
            posting.post(b"{}", {})
        assert peer.connections == connections
        posting.close()


def test_nothing_is_decompressed_and_no_compression_is_asked_for() -> None:
    with hostile.peer(TABLE["a gzip bomb"][0]) as peer:
        started = time.process_time()
        attempt(peer.url)
        assert time.process_time() - started < 0.2
        assert b"accept-encoding: identity" in peer.requests[0].lower()
        assert b"gzip" not in peer.requests[0].lower()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"7", 7.0),
        (b"\xb2", None),
        (b"Thu, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        (b"9" * 5000, None),
        (b"9" * 30, 21_600.0),
        (b"Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (b"-1", None),
        (b"soon", None),
        (b"1.5", None),
        (b"inf", None),
    ],
)
def test_a_retry_after_is_read_or_ignored(value: bytes, seconds: float | None) -> None:
    with hostile.peer(says(status(b"429 Slow", b"Retry-After: " + value + b"\r\n"))) as peer:
        answer, _ = attempt(peer.url)
    assert (answer.failure, answer.status) == ("status", 429)
    assert answer.retry_after_seconds == seconds


def test_the_login_of_the_url_is_sent() -> None:
    with hostile.peer(says(status(b"200 OK"))) as peer:
        attempt(peer.url.replace("//", "//kim:p%40ss@"))
        assert b"Basic a2ltOnBAc3M=" in peer.requests[0]
