"""Clients for the Redis that `REDIS_URL` names: ours, and the settings of Celery's.

With Sentinels every connection asks them for the primary, so a fail-over is a reconnect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import connection as connection_of_a_loop
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelManagedConnection as AsyncManaged
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as Broken
from redis.retry import Retry
from redis.sentinel import Sentinel

from shared.keys import Keys
from shared.redis_url import RedisAddress, login_of, redis_address
from shared.settings import Settings
from shared.store.scripts import Managed, Plain, Socket, Store, Tls

CONNECT_TIMEOUT_SECONDS = 1.0
# Seconds of a call to a Sentinel, which answers from memory.
ANSWER_TIMEOUT_SECONDS = 2.0
HEALTH_CHECK_SECONDS = 10
# Celery's worker blocks in BRPOP for a second at a time; five without an answer is an outage.
BROKER_TIMEOUT_SECONDS = 5


def open_store(settings: Settings, client_name: str) -> Store:
    """Build the store of an installation; connects to nothing yet."""
    keys = Keys(settings.installation)
    return Store(connect(settings, client_name), keys, settings.redis_replicas_required)


@dataclass(frozen=True)
class _Library:
    """The classes of redis-py that make a client: those that block, or those of an event loop."""

    client: Any
    pool: Any
    sentinel: Any
    connections: Mapping[str, Any]


BLOCKING = _Library(
    Redis,
    ConnectionPool,
    Sentinel,
    {"redis": Plain, "rediss": Tls, "unix": Socket, "sentinel": Managed},
)
OF_A_LOOP = _Library(
    AsyncRedis,
    connection_of_a_loop.ConnectionPool,
    AsyncSentinel,
    {
        "redis": connection_of_a_loop.Connection,
        "rediss": connection_of_a_loop.SSLConnection,
        "unix": connection_of_a_loop.UnixDomainSocketConnection,
        "sentinel": AsyncManaged,
    },
)


def connect(settings: Settings, client_name: str) -> Redis:
    """Create a lazy, pooled client whose every call ends within `REDIS_TIMEOUT_SECONDS`.

    A call is repeated once on a new connection when its connection broke, but not after a timeout.
    """
    options: dict[str, Any] = {
        "socket_timeout": settings.redis_timeout_seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=(Broken,)),
        "health_check_interval": HEALTH_CHECK_SECONDS,
        "total_seconds": settings.redis_timeout_seconds,
    }
    primary: Redis = _client(settings, BLOCKING, options | _always(client_name))
    return primary


def connect_async(settings: Settings, client_name: str) -> AsyncRedis:
    """Create a lazy client for one event loop; its user limits each wait."""
    options = {"socket_timeout": None, "protocol": 2} | _always(client_name)
    primary: AsyncRedis = _client(settings, OF_A_LOOP, options)
    return primary


def _always(client_name: str) -> dict[str, Any]:
    return {
        "decode_responses": True,
        # Bytes that are no text are read too: an error while a message is taken from a queue would
        # lose it. `Store.put_back` writes them back unchanged.
        "encoding_errors": "surrogateescape",
        "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "client_name": client_name,
    }


def _client(settings: Settings, library: _Library, options: dict[str, Any]) -> Any:
    address = redis_address(settings.redis_url)
    options |= {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "connection_class": library.connections[address.scheme],
    }
    if address.scheme == "sentinel":
        timeouts = {
            "socket_timeout": ANSWER_TIMEOUT_SECONDS,
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
        }
        watching = library.sentinel(address.hosts, sentinel_kwargs=timeouts)
        return watching.master_for(address.service, **options)
    if address.path:
        where: dict[str, Any] = {"path": address.path}
    else:
        where = dict(zip(("host", "port"), address.hosts[0], strict=True))
    return library.client.from_pool(library.pool(**where, **address.tls, **options))


def broker_settings(settings: Settings) -> dict[str, Any]:
    """Return Celery's settings for the same Redis: `broker_url`, its options and its TLS."""
    address = redis_address(settings.redis_url)
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
    if address.scheme == "sentinel":
        options |= {
            "master_name": address.service,
            "sentinel_kwargs": {"socket_timeout": ANSWER_TIMEOUT_SECONDS},
        }
    result: dict[str, Any] = {
        "broker_url": broker_url(address),
        "broker_transport_options": options,
    }
    if address.scheme == "rediss":
        result["broker_use_ssl"] = dict(address.tls)
    return result


def broker_url(address: RedisAddress) -> str:
    """Write an address in the form that Celery and Flower read."""
    login = login_of(address)
    if address.path:
        return f"redis+socket://{login}{address.path}?virtual_host={address.database}"
    names = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in address.hosts
    ]
    return ";".join(f"{address.scheme}://{login}{name}/{address.database}" for name in names)
