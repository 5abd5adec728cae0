"""Decide which hosts the sandbox may call: loopback, and the hosts named at its start.

Endpoint URLs in test data are often public hosts: they may be registered and are never called. The
registration of a private address that was not named is refused at once, because its owner expects
to be called.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

REFUSAL: Final = "refused: the sandbox calls loopback only, and hosts in SANDBOX_WEBHOOK_HOSTS"
LOOPBACK_NAME: Final = "localhost"


def host_of(url: str) -> str:
    """Return the host of a URL, or ''."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def may_be_called(url: str, hosts: Collection[str]) -> bool:
    """Say whether a URL's host is this machine or one of the named hosts."""
    host = host_of(url)
    if host in hosts or host == LOOPBACK_NAME:
        return bool(host)
    address = _address(host)
    return address is not None and address.is_loopback


def may_be_registered(url: str, hosts: Collection[str]) -> bool:
    """Say whether an endpoint may have this URL: one that may be called, or a public one."""
    host = host_of(url)
    address = _address(host)
    public = address.is_global if address is not None else "." in host.strip(".")
    return public or may_be_called(url, hosts)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
