"""HTTP connections on which every wait ends at the work's deadline, whatever the peer does.

A timeout of `requests` or urllib3 limits one read; a peer that sends a byte now and then never
reaches it. Here the socket checks `shared.deadline` before each read and write, so that their sum
is limited; the DNS look-up, the attempts at each address and the TLS handshake count too. The
reader closes a connection that ended by its deadline.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    InvalidHeader,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.ssl_ import create_urllib3_context

from shared.deadline import remaining

T = TypeVar("T")
# Most interim answers (`100`, `102`, `103`) before the final one; no correct peer sends more.
MAX_INTERIM_ANSWERS = 20


def _within_deadline(sock: socket.socket, wait: Callable[[], T]) -> T:
    """Wait until the socket's own timeout or the deadline, whichever comes first."""
    left, usual = remaining(), sock.gettimeout()
    if left is None or (usual is not None and usual <= left):
        return wait()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    sock.settimeout(left)
    try:
        return wait()
    finally:
        sock.settimeout(usual)


class DeadlineSocket(socket.socket):
    """A plain socket that obeys the deadline."""

    def connect(self, address: Any) -> None:
        """Connect, but not beyond the deadline."""
        _within_deadline(self, partial(super().connect, address))

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read, but not beyond the deadline."""
        return _within_deadline(self, partial(super().recv_into, *args, **options))

    def sendall(self, *args: Any, **options: Any) -> None:
        """Write all, but not beyond the deadline."""
        _within_deadline(self, partial(super().sendall, *args, **options))


class DeadlineTLSSocket(ssl.SSLSocket):
    """A TLS socket that obeys the deadline."""

    def do_handshake(self, block: bool = False) -> None:
        """Agree on keys, but not beyond the deadline."""
        _within_deadline(self, partial(super().do_handshake, block))

    def recv_into(self, *args: Any, **options: Any) -> int:
        """Read, but not beyond the deadline."""
        return _within_deadline(self, partial(super().recv_into, *args, **options))

    def send(self, *args: Any, **options: Any) -> int:
        """Write a part, but not beyond the deadline; `sendall` is made of these."""
        return _within_deadline(self, partial(super().send, *args, **options))


def tls_context() -> ssl.SSLContext:
    """Build a TLS context that verifies certificates and makes sockets that obey the deadline."""
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    context.sslsocket_class = DeadlineTLSSocket
    return context


def look_up(host: str, port: int, seconds: float | None) -> list[Any]:
    """Resolve a name as `getaddrinfo` does, but give up in time. Raises `socket.gaierror`.

    The resolver cannot be interrupted: a thread still waits until the resolver's own limit.
    """
    numeric = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    if _is_address(host):
        return numeric(flags=socket.AI_NUMERICHOST)
    answers: SimpleQueue[Any] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(numeric())
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except Empty:
        raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {seconds:.1f} s") from None
    if isinstance(answer, Exception):
        raise answer if isinstance(answer, socket.gaierror) else _no_name(host) from answer
    return cast(list[Any], answer)


def _no_name(host: str) -> socket.gaierror:
    return socket.gaierror(socket.EAI_NONAME, f"{host!r} is not a host name")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _connect(host: str, port: int, seconds: float | None, options: Any) -> DeadlineSocket:
    """Connect to the first address that answers; `seconds` limits all tries together."""
    limits = [limit for limit in (seconds, remaining()) if limit is not None]
    ends_at = time.monotonic() + min(limits) if limits else None
    failure: OSError = _no_name(host)
    for family, kind, proto, _, address in look_up(host, port, min(limits) if limits else None):
        left = None if ends_at is None else ends_at - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("no time is left to connect")
        sock = DeadlineSocket(family, kind, proto)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            sock.settimeout(left)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


class _Lines(io.BufferedReader):
    """The bytes from a peer; a line of a head without its end is an error."""

    _has_bytes = False

    def readline(self, size: int | None = -1, /) -> bytes:
        """Read a line with its end. Raises `IncompleteRead` when the connection ended within it."""
        line = super().readline(size)
        if not line.endswith(b"\n") and (line or self._has_bytes) and len(line) != size:
            raise http.client.IncompleteRead(line)
        self._has_bytes = True
        return line


class FinalResponse(http.client.HTTPResponse):
    """A final answer; interim answers (1xx except 101) are skipped: RFC 9110, 15.2."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = _Lines(sock.makefile("rb", buffering=0))

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM_ANSWERS):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed has none
            if not http.HTTPStatus.CONTINUE <= status < http.HTTPStatus.OK or (
                status == http.HTTPStatus.SWITCHING_PROTOCOLS
            ):
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("interim answers without end")


class _Connecting(HTTPConnection):
    response_class = FinalResponse

    def _new_conn(self) -> socket.socket:
        try:
            return _connect(self._dns_host, int(self.port), self.timeout, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} did not take a connection") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error


class DeadlineHTTPConnection(_Connecting):
    """A connection of urllib3 that obeys the deadline and gives the final answer."""


class DeadlineHTTPSConnection(_Connecting, HTTPSConnection):
    """The same behind TLS; needs `tls_context()`."""


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = DeadlineHTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = DeadlineHTTPSConnection

    def __init__(self, *args: Any, **options: Any) -> None:
        # Not before there is a peer behind TLS: reading the authorities takes 20 ms.
        super().__init__(*args, ssl_context=tls_context(), **options)


class DeadlineAdapter(HTTPAdapter):
    """An adapter with which a `requests.Session` obeys the deadline; mount it for both schemes."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Make the pools of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager


class _Session(requests.Session):
    """A session that searches the environment for proxies and authorities once for each peer.

    `requests` searches it at each call, which computes for a third of a millisecond.
    """

    def __init__(self) -> None:
        super().__init__()
        self._of_peers: dict[tuple[Any, ...], Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, *options: Any) -> Any:
        """Return what the options of a call and the environment say together."""
        peer = (*urlsplit(url)[:2], *sorted(proxies.items()), *options)
        if peer not in self._of_peers:
            self._of_peers[peer] = super().merge_environment_settings(url, proxies, *options)
        return self._of_peers[peer]


def deadline_session(connections: int) -> requests.Session:
    """Build a session that obeys the deadline, keeps `connections` open and does not retry."""
    session = _Session()
    adapter = DeadlineAdapter(pool_maxsize=connections, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def retry_after_seconds(value: str | None) -> float | None:
    """Read `Retry-After`, seconds or an HTTP date (RFC 9110, 10.2.3); None for anything else.

    urllib3 limits the value to six hours.
    """
    if not value:
        return None
    try:
        return float(max(0, Retry().parse_retry_after(value)))
    except (InvalidHeader, ValueError, OverflowError):
        return None
