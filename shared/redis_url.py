"""Read `REDIS_URL` once, for our own clients, Celery, Flower and the command line alike.

    redis://user:password@host:6379/0          rediss:// the same behind TLS
    unix:///run/redis.sock?db=0
    sentinel://host-1:26379,host-2:26379/0?service=mymaster

`db`, `username` and `password` may be query options as well. A URL that one of the clients does not
understand is refused, so that either all processes start or none.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix", "sentinel")
PORT, SENTINEL_PORT = 6379, 26379
DEFAULT_SERVICE = "mymaster"
LOGIN_OPTIONS = frozenset({"db", "username", "password"})
TLS_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname", "ssl_certfile", "ssl_keyfile"}
)
OPTIONS = {
    "redis": LOGIN_OPTIONS,
    "rediss": LOGIN_OPTIONS | TLS_OPTIONS,
    "unix": LOGIN_OPTIONS,
    "sentinel": LOGIN_OPTIONS | {"service"},
}
VERIFICATION = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class RedisAddress:
    """The address of Redis: one or several hosts (of the Sentinels), or the path of a socket."""

    scheme: str
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    database: int = 0
    username: str | None = None
    password: str | None = None
    service: str = DEFAULT_SERVICE
    tls: Mapping[str, Any] = field(default_factory=dict)


def redis_address(url: str) -> RedisAddress:
    """Read the URL. Raises `ValueError` that names the part that is not understood."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"must begin with {', '.join(f'{name}://' for name in SCHEMES)}")
    if parts.fragment:
        raise ValueError("has a fragment (#…): write # in a password as %23")
    options = _options(parts)
    username, password = _login(parts, options)
    is_socket = parts.scheme == "unix"
    return RedisAddress(
        scheme=parts.scheme,
        hosts=() if is_socket else _hosts(parts),
        path=_path(parts) if is_socket else "",
        database=_database(options.get("db", "" if is_socket else parts.path.strip("/"))),
        username=username,
        password=password,
        service=options.get("service", DEFAULT_SERVICE),
        tls=_tls(options) if parts.scheme == "rediss" else {},
    )


def login_of(address: RedisAddress) -> str:
    """Spell user and password for a URL, with the `@`; empty without any."""
    if not address.username and not address.password:
        return ""
    return f"{quote(address.username or '', safe='')}:{quote(address.password or '', safe='')}@"


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    unknown = sorted(options.keys() - OPTIONS[parts.scheme])
    if unknown:
        choices = ", ".join(sorted(OPTIONS[parts.scheme]))
        raise ValueError(f"has the option {unknown[0]!r}; those of {parts.scheme}:// are {choices}")
    if len(options) != len(pairs):
        raise ValueError("has an option twice")
    return options


def _login(parts: SplitResult, options: Mapping[str, str]) -> tuple[str | None, str | None]:
    userinfo, at, _ = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    if at and options.keys() & {"username", "password"}:
        raise ValueError("has a login before the host and one in its options")
    return (
        options.get("username") or unquote(username) or None,
        options.get("password") or unquote(password) or None,
    )


def _hosts(parts: SplitResult) -> tuple[tuple[str, int], ...]:
    texts = parts.netloc.rpartition("@")[2].split(",")
    if len(texts) > 1 and parts.scheme != "sentinel":
        raise ValueError("names several hosts: only sentinel:// does")
    default = SENTINEL_PORT if parts.scheme == "sentinel" else PORT
    return tuple(_host(text, default) for text in texts)


def _host(text: str, default_port: int) -> tuple[str, int]:
    one = urlsplit(f"//{text}")
    try:
        port = one.port or default_port
    except ValueError:
        raise ValueError(f"has no valid port in {text!r}") from None
    if not one.hostname:
        raise ValueError("has no host")
    return one.hostname, port


def _path(parts: SplitResult) -> str:
    if parts.netloc.rpartition("@")[2] or len(parts.path) <= 1:
        raise ValueError("must be unix:///path/of/the.socket")
    return unquote(parts.path)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"has {text!r} where the number of a database belongs")
    return int(text or 0)


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    tls: dict[str, Any] = {
        name: options[name] for name in TLS_OPTIONS & options.keys() if options[name]
    }
    verification = options.get("ssl_cert_reqs", "required").lower().removeprefix("cert_")
    checked = options.get("ssl_check_hostname", str(verification == "required")).lower()
    if verification not in VERIFICATION or checked not in BOOLEANS:
        raise ValueError(
            "ssl_cert_reqs is none, optional or required; ssl_check_hostname a boolean"
        )
    if BOOLEANS[checked] and verification == "none":
        raise ValueError("ssl_check_hostname needs a certificate: ssl_cert_reqs is none")
    return tls | {
        "ssl_cert_reqs": VERIFICATION[verification],
        "ssl_check_hostname": BOOLEANS[checked],
    }
