"""Keep deliveries at home: the sandbox must not call strangers, nor the neighbours.

Events go to loopback, and to the hosts that were named when the sandbox was started. Endpoint URLs
in test data are often public hosts: those may be registered and are never called. A private address
that nobody named is refused at once, because whoever registers it means to have it called.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

REFUSAL: Final = "refused: the sandbox calls loopback only, and hosts in SANDBOX_WEBHOOK_HOSTS"
LOOPBACK_NAME: Final = "localhost"


def host_of(url: str) -> str:
    """Return the host a URL names, or nothing."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def may_be_called(url: str, named: Collection[str]) -> bool:
    """Tell whether a URL's host is this machine, or one of the named."""
    host = host_of(url)
    if host in named or host == LOOPBACK_NAME:
        return bool(host)
    address = _address(host)
    return address is not None and address.is_loopback


def may_be_registered(url: str, named: Collection[str]) -> bool:
    """Tell whether an endpoint may have this URL: one to call, or a public one to leave alone."""
    host = host_of(url)
    address = _address(host)
    public = address.is_global if address is not None else "." in host.strip(".")
    return public or may_be_called(url, named)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
