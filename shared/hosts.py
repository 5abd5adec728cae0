"""Allowed `Host` names, against DNS rebinding.

An attacker can point a name to loopback, so that a web page reaches a service on the machine of its
visitor. The browser sends the attacker's name in `Host`, so the service can refuse it.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_HOST = "*"


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
