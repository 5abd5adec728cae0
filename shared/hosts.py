"""Allowed `Host` names, against DNS rebinding.

An attacker can point a name to loopback, so that a web page reaches a service on the machine of its
visitor. The browser sends the attacker's name in `Host`, so the service can refuse it.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_HOST = "*"
# Addresses to listen at that stand for all addresses, each with one of them that a client can call.
ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # compared, not bound


def is_known_host(header: str, allowed: Collection[str]) -> bool:
    """Say whether a `Host` header names this machine itself or one of the allowed names.

    A name in the list allows every port; `*` allows any host.
    """
    if ANY_HOST in allowed:
        return True
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return False
    return name is not None and (name in LOOPBACK_NAMES or name in allowed)


def own_names(host: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Return the names under which a server answers besides loopback: its address, and others.

    The address cannot be an attacker's. One that stands for all addresses names none of them.
    """
    return (*allowed, *([] if host in ALL_ADDRESSES else [host]))


def without_brackets(host: str) -> str:
    """Return an address of IPv6 without the brackets that it has in a URL."""
    return host.removeprefix("[").removesuffix("]")


def with_port(host: str, port: int | str) -> str:
    """Return `host:port`, with an address of IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_url(host: str, port: int | str) -> str:
    """Return the URL by which a client on this machine reaches the server that listens at `host`.

    `host` is a value of the setting HOST: a name or an address, in brackets or not.
    """
    plain = without_brackets(host)
    return f"http://{with_port(ALL_ADDRESSES.get(plain, plain), port)}"
