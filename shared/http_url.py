"""Check a URL that the service calls, so that every library reads it in the same way."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

# RFC 1123, and the underscore that container networks use; a dot at the end makes it absolute.
LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
LONGEST_NAME = 253
BAD_CHARACTERS = re.compile(r"[\s\x00-\x1f\x7f\\]")


def http_url(value: str) -> str:
    """Return the URL without a slash at its end; paths are appended to it. Raises `ValueError`."""
    if BAD_CHARACTERS.search(value):
        raise ValueError("has a space, a control character or a backslash in it")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL with a host")
    if parts.query or parts.fragment or value[-1] in "?#":
        raise ValueError("must have no query (?…) and no fragment (#…): a path is appended to it")
    _check_port(parts)
    if not is_host(parts.hostname):
        raise ValueError("has no valid host name")
    return value.rstrip("/")


def is_host(name: str) -> bool:
    """Say whether this is an IP address or a valid host name."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        pass
    else:
        return True
    try:
        plain = name.removesuffix(".").encode("idna").decode()
    except UnicodeError:
        return False
    return len(plain) <= LONGEST_NAME and all(LABEL.fullmatch(each) for each in plain.split("."))


def _check_port(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("must have a port from 1 to 65535") from None
    if port == 0:
        raise ValueError("must have a port from 1 to 65535")
