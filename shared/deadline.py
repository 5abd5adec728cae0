"""The deadline of the current work, which limits all its waits together.

It is set where work begins (a request, an attempt) and obeyed where work waits (Stripe, Redis, the
event service). Limits of single reads would not limit their sum.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Set a deadline for the block, in seconds from now; an earlier outer deadline stays."""
    outer = _ends_at.get()
    ends_at = time.monotonic() + seconds
    token = _ends_at.set(ends_at if outer is None else min(outer, ends_at))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining() -> float | None:
    """Return the seconds until the deadline, at least 0; None without a deadline."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.0, ends_at - time.monotonic())
