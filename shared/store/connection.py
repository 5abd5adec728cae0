"""How Redis is reached: one server (`redis://`, `rediss://`, `unix://`) or Sentinels.

    sentinel://host-1:26379,host-2:26379/0?service=mymaster

With Sentinels every connection asks them for the primary, so a fail-over is a reconnect. The same
address serves our own client and Celery's, which spells it differently.
"""

from __future__ import annotations

import math
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as Broken
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection
from redis.utils import SENTINEL

from shared.deadline import remaining
from shared.keys import Keys
from shared.settings import Settings
from shared.store.scripts import Store

CONNECT_TIMEOUT_SECONDS = 1.0
# Of a Sentinel, which answers from memory.
ANSWER_TIMEOUT_SECONDS = 2.0
HEALTH_CHECK_SECONDS = 10
# Work whose time is over may still write down how it ended.
LAST_WORDS_SECONDS = 0.5
# A socket takes no timeout of zero for one.
SHORTEST_SECONDS = 0.001
SENTINEL_PORT = 26379
DEFAULT_SERVICE = "mymaster"
# Celery's worker blocks in BRPOP for a second at a time; five without an answer is an outage.
BROKER_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class SentinelAddress:
    """Where the Sentinels are, and what they watch; `password` is the data servers'."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int
    username: str | None
    password: str | None


def sentinel_address(url: str) -> SentinelAddress | None:
    """Read a `sentinel://` URL; None for any other."""
    parts = urlsplit(url)
    if parts.scheme != "sentinel":
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    return SentinelAddress(
        hosts=tuple(_host(host) for host in hosts.split(",")),
        service=parse_qs(parts.query).get("service", [DEFAULT_SERVICE])[0],
        database=int(parts.path.strip("/") or 0),
        username=unquote(username) or None,
        password=unquote(password) or None,
    )


def _host(text: str) -> tuple[str, int]:
    name, _, port = text.partition(":")
    return name, int(port or SENTINEL_PORT)


def open_store(settings: Settings, client_name: str) -> Store:
    """Give the store of an installation; connects to nothing yet."""
    keys = Keys(settings.installation)
    return Store(connect(settings, client_name), keys, settings.redis_replicas_required)


class _InTime:
    """A connection whose calls end in time, handshake, health check and all answers together.

    A call is what `send_packed_command` begins from outside; an earlier deadline of the work
    at hand counts, but for a moment in which what was done can still be written down.
    """

    def __init__(self, *args: Any, total_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._total_seconds = total_seconds
        self._ends_at = math.inf

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if check_health:  # neither the handshake nor a health check, which are parts of a call
            left = remaining()
            limit = self._total_seconds if left is None else min(self._total_seconds, left)
            self._ends_at = time.monotonic() + max(limit, LAST_WORDS_SECONDS)
        super().send_packed_command(command, check_health)  # type: ignore[misc]  # of the mixed-in

    def read_response(self, *args: Any, timeout: Any = SENTINEL, **options: Any) -> Any:
        if timeout is SENTINEL and self._ends_at < math.inf:
            timeout = max(SHORTEST_SECONDS, self._ends_at - time.monotonic())
        return super().read_response(*args, timeout=timeout, **options)  # type: ignore[misc]  # see above


class _Plain(_InTime, Connection):
    pass


class _Tls(_InTime, SSLConnection):
    pass


class _Socket(_InTime, UnixDomainSocketConnection):
    pass


class _Managed(_InTime, SentinelManagedConnection):
    pass


CLASSES = {"redis": _Plain, "rediss": _Tls, "unix": _Socket, "sentinel": _Managed}


def connect(settings: Settings, client_name: str) -> Redis:
    """Give a lazy, pooled client whose every call ends within `REDIS_TIMEOUT_SECONDS`.

    What broke is tried again once on a new connection, what was not answered in time is not.
    """
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout_seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=(Broken,)),
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "connection_class": CLASSES[urlsplit(settings.redis_url).scheme],
        "total_seconds": settings.redis_timeout_seconds,
    }
    primary: Redis = _client(settings, Redis, Sentinel, options | _always(client_name))
    return primary


def connect_async(settings: Settings, client_name: str) -> AsyncRedis:
    """Give a lazy client for one event loop; whoever uses it sets the end of each wait."""
    options = {"socket_timeout": None, "protocol": 2} | _always(client_name)
    primary: AsyncRedis = _client(settings, AsyncRedis, AsyncSentinel, options)
    return primary


def _always(client_name: str) -> dict[str, Any]:
    return {
        "decode_responses": True,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "client_name": client_name,
    }


def _client(settings: Settings, plain: Any, sentinel: Any, options: dict[str, Any]) -> Any:
    address = sentinel_address(settings.redis_url)
    if address is None:
        return plain.from_url(settings.redis_url, **options)
    timeouts = {
        "socket_timeout": ANSWER_TIMEOUT_SECONDS,
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
    }
    credentials = {"username": address.username, "password": address.password}
    return sentinel(address.hosts, sentinel_kwargs=timeouts).master_for(
        address.service, db=address.database, **credentials, **options
    )


def broker_settings(settings: Settings) -> dict[str, Any]:
    """Give Celery's settings for the same Redis: `broker_url`, its options and its TLS."""
    redis_url = settings.redis_url
    options = {
        "global_keyprefix": Keys(settings.installation).prefix,
        "ack_emulation": False,
        "priority_steps": [0],
        "socket_timeout": BROKER_TIMEOUT_SECONDS,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "retry_on_timeout": False,
        "client_name": "billing-worker",
    }
    address = sentinel_address(redis_url)
    if address is not None:
        login = f"{address.username or ''}:{address.password}@" if address.password else ""
        urls = [
            f"sentinel://{login}{host}:{port}/{address.database}" for host, port in address.hosts
        ]
        options |= {
            "master_name": address.service,
            "sentinel_kwargs": {"socket_timeout": ANSWER_TIMEOUT_SECONDS},
        }
        return {"broker_url": ";".join(urls), "broker_transport_options": options}
    found: dict[str, Any] = {
        "broker_url": _kombu_url(redis_url),
        "broker_transport_options": options,
    }
    if redis_url.startswith("rediss://"):
        authority = parse_qs(urlsplit(redis_url).query).get("ssl_ca_certs", [None])[0]
        tls = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": authority}
        found["broker_use_ssl"] = {name: value for name, value in tls.items() if value is not None}
    return found


def _kombu_url(redis_url: str) -> str:
    """Spell a Unix socket's URL as Celery's transport and Flower read it."""
    parts = urlsplit(redis_url)
    if parts.scheme != "unix":
        return redis_url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"
