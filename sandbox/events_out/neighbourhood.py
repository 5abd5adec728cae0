"""Keep deliveries at home: an offline Stripe must not call strangers.

Endpoint and redirect URLs in test data are often real hosts. Events go only to loopback and
private addresses and to names that cannot be public (single labels such as a container's, and
reserved top-level names).
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

REFUSAL: Final = "refused: the sandbox delivers only within this machine and private networks"
RESERVED_SUFFIXES: Final = (".localhost", ".local", ".internal", ".test")


def is_near(url: str) -> bool:
    """Tell whether a URL's host is on this machine or in a private network."""
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith(RESERVED_SUFFIXES))
    return address.is_loopback or address.is_private
