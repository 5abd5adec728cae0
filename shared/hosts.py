"""Which `Host` a request may name: a page of a stranger whose name leads to us is no way in.

A name that its owner points to loopback (DNS rebinding) lets any web page talk to a service on the
machine of whoever looks at it. The browser sends that name, and so gives the page away.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_HOST = "*"


def is_known_host(header: str, allowed: Collection[str]) -> bool:
    """Say whether a `Host` header names this machine itself or one of the allowed names.

    A name in the list stands for every port; `*` allows any host.
    """
    if ANY_HOST in allowed:
        return True
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return False
    return name is not None and (name in LOOPBACK_NAMES or name in allowed)
