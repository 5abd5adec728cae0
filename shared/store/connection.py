"""How Redis is reached: one server (`redis://`, `rediss://`, `unix://`) or Sentinels.

    sentinel://host-1:26379,host-2:26379/0?service=mymaster

With Sentinels every connection asks them for the primary, so a fail-over is a reconnect. The same
address serves our own client and Celery's, which spells it differently.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from shared.keys import Keys
from shared.settings import Settings
from shared.store.scripts import Store

# A request waits at most about 2 x (1 + 2) s for a Redis that hangs; Stripe waits 10 s for us.
CONNECT_TIMEOUT_SECONDS = 1.0
ANSWER_TIMEOUT_SECONDS = 2.0
HEALTH_CHECK_SECONDS = 10
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


def connect(settings: Settings, client_name: str) -> Redis:
    """Give a lazy, pooled client whose every call ends within seconds."""
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 1),
        "health_check_interval": HEALTH_CHECK_SECONDS,
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
