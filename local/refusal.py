"""The reason why a run must not start as it was asked to."""

from __future__ import annotations


class Refused(Exception):
    """This run must not start as it was asked to; the text says what to change."""
