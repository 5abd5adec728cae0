"""Escape texts from outside, so that they can neither move a terminal's cursor nor hide words."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit, urlunsplit

MASK = "***"


def printable(text: str) -> str:
    """Escape invisible characters: control characters, changes of direction, lone surrogates.

    A line break is escaped too, so that a value stays in its line.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def printable_lines(text: str) -> str:
    """Escape like `printable`, but keep line breaks, for tracebacks and indented JSON."""
    return "\n".join(printable(line) for line in text.split("\n"))


def without_password(url: str) -> str:
    """Mask the password of a URL, and its query, which may hold one."""
    try:
        parts = urlsplit(url)
        credentials, at, host = parts.netloc.rpartition("@")
    except ValueError:
        return MASK
    user = credentials.partition(":")[0]
    netloc = f"{user}:{MASK}{at}{host}" if ":" in credentials else f"{credentials}{at}{host}"
    return urlunsplit(parts._replace(netloc=netloc, query=MASK if parts.query else ""))


def _escape(char: str) -> str:
    """Write a character as JSON does: a pair of escapes beyond the first 65,536."""
    return "".join(f"\\u{unit:04x}" for unit in memoryview(_utf16(char)).cast("H"))


def _utf16(char: str) -> bytes:
    return char.encode(f"utf-16-{'le' if sys.byteorder == 'little' else 'be'}", "surrogatepass")
