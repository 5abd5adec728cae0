"""Client of the event service: posts signed bytes and names the result.

One post ends at its total deadline, whatever the peer does. A final 2xx status accepts the
notification; a part of the body is kept for operators to read and changes nothing.
Every outcome is a result, none an exception. docs/receiver.md describes the receiver's side.
"""

from __future__ import annotations

import http.client
import ssl
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import make_headers, parse_url
from urllib3.util.ssl_match_hostname import CertificateError

from shared.card_numbers import redact_card_numbers
from shared.deadline import deadline
from shared.http_transport import (
    DeadlineHTTPConnection,
    DeadlineHTTPSConnection,
    retry_after_seconds,
    tls_context,
)
from shared.settings import CONNECT_TIMEOUT_SECONDS, Settings

# How much of an answer's body is kept with its attempt; enough for an error message.
KEPT_ANSWER_BYTES = 500
# How long a thread reads the body. The status alone decides, so a slow body is cut off.
BODY_SECONDS = 0.5
STATUS = "status"


@dataclass(frozen=True)
class Answer:
    """The result of one post: accepted when `failure` is empty.

    `failure` is one of `dns`, `connect_refused`, `connect_timeout`, `connect_failed`, `tls`,
    `reset`, `no_answer_in_time`, `not_http` and `status` (an answer that is no 2xx); `detail` has
    the library's own words. `text` is the beginning of the answer's body, without card numbers.
    """

    failure: str = ""
    detail: str = ""
    status: int | None = None
    retry_after_seconds: float | None = None
    text: str = ""

    @property
    def error(self) -> str:
        """Name the failure; empty when the notification was accepted."""
        if self.failure == STATUS:
            return f"status: the event service answered {self.status}"
        return f"{self.failure}: {self.detail}" if self.failure else ""

    @property
    def peer_is_ill(self) -> bool:
        """Say whether the event service is the cause, rather than this notification."""
        return bool(self.failure) and (self.status is None or self.status in (429, 502, 503, 504))

    @property
    def is_final(self) -> bool:
        """Say whether another attempt is pointless: `410 Gone`, as Standard Webhooks defines."""
        return self.status == HTTPStatus.GONE


class EventService:
    """Post to the event service; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._url = parse_url(settings.notifications_url)
        self._seconds = settings.event_service_timeout_seconds
        self._tls = tls_context() if self._url.scheme == "https" else None
        self._login = make_headers(basic_auth=unquote(self._url.auth or "") or None)
        self._idle: deque[HTTPConnection] = deque()
        self._most_idle = settings.worker_concurrency

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Make one attempt, within its total deadline.

        When the peer closes a pooled connection just as it is used again, the request is sent on a
        fresh one at once: that is no failure of the peer.
        """
        with deadline(self._seconds):
            pooled = self._take_idle()
            if pooled is not None:
                try:
                    return self._exchange(pooled, body, headers)
                except ConnectionError:
                    pooled.close()
                except FAILURES as error:
                    return _failure(pooled, error)
            fresh = self._fresh()
            try:
                return self._exchange(fresh, body, headers)
            except FAILURES as error:
                return _failure(fresh, error)

    def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> HTTPConnection | None:
        """Take the idle connection that was used last, unless the peer has closed it."""
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection.is_connected:
                    return connection
                connection.close()
        return None

    def _fresh(self) -> HTTPConnection:
        host, port = str(self._url.host).strip("[]"), self._url.port
        if self._tls is None:
            return DeadlineHTTPConnection(host, port, timeout=CONNECT_TIMEOUT_SECONDS)
        return DeadlineHTTPSConnection(
            host, port, timeout=CONNECT_TIMEOUT_SECONDS, ssl_context=self._tls
        )

    def _exchange(
        self, connection: HTTPConnection, body: bytes, headers: Mapping[str, str]
    ) -> Answer:
        """Send one request and read its answer; keep the connection if all of it was read."""
        if connection.sock is None:
            _connect(connection)
            connection.timeout = self._seconds
        connection.request("POST", self._url.request_uri, body, {**self._login, **headers})
        # http.client's response: urllib3's fails on a good status with faulty headers about the
        # body, and would decompress the body.
        response = http.client.HTTPConnection.getresponse(connection)
        text, whole = _read_beginning(response)
        reusable = whole and not response.will_close
        response.close()
        if reusable and len(self._idle) < self._most_idle:
            self._idle.append(connection)
        else:
            connection.close()
        accepted = response.status in SUCCESS
        return Answer(
            "" if accepted else STATUS,
            "" if accepted else response.reason,
            response.status,
            None if accepted else retry_after_seconds(response.headers.get("Retry-After")),
            redact_card_numbers(text.decode(errors="replace")),
        )


def _connect(connection: HTTPConnection) -> None:
    """Connect; a timeout after the TCP connection stands is one of the TLS handshake."""
    try:
        connection.connect()
    except TimeoutError as error:
        raise SSLError("the TLS handshake did not end in time") from error


def _read_beginning(response: http.client.HTTPResponse) -> tuple[bytes, bool]:
    """Return the beginning of the body, and whether that is all of it (the connection is free)."""
    text, left = b"", response.length
    with deadline(BODY_SECONDS), suppress(*UNREADABLE):
        while not response.isclosed() and left != 0 and len(text) < KEPT_ANSWER_BYTES:
            if response.chunked:  # a longer read that fails would lose the bytes before the failure
                part = response.read(1)
            else:
                part = response.fp.read1(min(KEPT_ANSWER_BYTES - len(text), left or sys.maxsize))
            if not part:
                break
            text, left = text + part, None if left is None else left - len(part)
        return text, response.isclosed() or left == 0
    return text, False


def _failure(connection: HTTPConnection, error: Exception) -> Answer:
    connection.close()
    return Answer(_name(error), str(error) or type(error).__name__)


def _name(error: Exception) -> str:
    """Name the failure for an operator who looks for its cause."""
    if isinstance(error, NewConnectionError) and not isinstance(error, NameResolutionError):
        refused = isinstance(error.__cause__, ConnectionRefusedError)
        return "connect_refused" if refused else "connect_failed"
    return next((name for kinds, name in _NAMES if isinstance(error, kinds)), "connect_failed")


# A negative chunk size is a ValueError of http.client.
UNREADABLE = (OSError, http.client.HTTPException, ValueError)
FAILURES = (HTTPError, http.client.HTTPException, OSError)
SUCCESS = range(200, 300)
# The first entry that matches names a failure.
_NAMES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((NameResolutionError,), "dns"),
    ((ConnectTimeoutError,), "connect_timeout"),
    ((SSLError, ssl.SSLError, CertificateError), "tls"),
    ((TimeoutError,), "no_answer_in_time"),
    ((ConnectionError, http.client.IncompleteRead), "reset"),
    ((http.client.HTTPException,), "not_http"),
)
