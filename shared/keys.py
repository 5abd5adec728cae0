"""The names of our keys in Redis."""

from __future__ import annotations

PREFIX = "billing:"


def key(*parts: str) -> str:
    """Name a key of ours: `billing:part:part`."""
    return PREFIX + ":".join(parts)
