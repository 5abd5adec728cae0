"""When to retry: exponential delays with full jitter. Pure: the caller passes the dice.

Source: "Exponential Backoff And Jitter", AWS Architecture Blog.
"""

from __future__ import annotations

from random import Random

# Most doublings, which keep the number small: 2^32 s is over a century, and any cap is lower.
MAX_DOUBLINGS = 32


def retry_delay_seconds(
    attempt: int,
    *,
    base_seconds: float,
    cap_seconds: float,
    dice: Random,
    retry_after_seconds: float | None = None,
) -> float:
    """Choose the pause after the `attempt`-th failure (1, 2, …).

    The pause is uniform between 0 and the exponential step, never shorter than the `Retry-After` of
    the peer, and never longer than the cap.
    """
    doublings = min(max(attempt - 1, 0), MAX_DOUBLINGS)
    step = min(cap_seconds, base_seconds * 2**doublings)
    return min(cap_seconds, max(dice.uniform(0, step), retry_after_seconds or 0.0))
