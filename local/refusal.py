"""The reason why the service does not start."""

from __future__ import annotations


class Refusal(Exception):
    """The service does not start with this configuration; the message says what to change."""
