"""`python -m chaos.unprotected PROTECTION MODULE`: run a module without one protection.

The service has no switch for it: a script or a function is replaced before the module starts, to
check that the audit notices. A replacement that no longer fits the service's code is refused, so
that the run cannot pass without a change.
"""

from __future__ import annotations

import multiprocessing
import runpy
import secrets
import sys
from collections.abc import Callable

import shared.work.refund_jobs
from api.idempotency import IdempotentRequest
from shared.facts import Fact
from shared.store import sources

# Name of a script, text in it, replacement.
Edit = tuple[str, str, str]
EDITS: dict[str, tuple[Edit, ...]] = {
    # A lease ends at once, so another worker may claim an item that is being processed.
    "lease": (
        ("claim", "lease_left > 0 and lease_left", "false and lease_left"),
        ("claim", "now + lease_ms, id)", "now, id)"),
    ),
    # A repeated event is recorded again, and a repeated fact is staged again.
    "dedupe": (
        ("record", "redis.call('EXISTS', key.item) == 1", "false"),
        ("settle", "redis.call('EXISTS', notification) == 1", "false"),
    ),
    # Every notification is sent at once, whatever waits before it.
    "order": (("settle", "redis.call('RPUSH', to.outbox, n.id) > 1", "false"),),
}


def _random_notification_id(_: Fact) -> str:
    return f"ntf_{secrets.token_hex(13)}"


def _random_stripe_key(_: IdempotentRequest) -> str:
    return secrets.token_hex(16)


def _random_job_key(refund_request_id: str, refusals: int = 0) -> str:  # noqa: ARG001  # called so
    return secrets.token_hex(16)


def _forget_facts() -> None:
    Fact.notification_id = property(_random_notification_id)  # type: ignore[assignment,method-assign]  # the point


def _forget_keys() -> None:
    IdempotentRequest.stripe_key = property(_random_stripe_key)  # type: ignore[assignment,method-assign]  # the point
    # Replaced before the worker imports it by name.
    shared.work.refund_jobs.stripe_key = _random_job_key


PATCHES: dict[str, Callable[[], None]] = {"dedupe": _forget_facts, "idempotency": _forget_keys}
# Removed by the choice of processes and their options: no upkeep process, no file on disk.
BY_STAGING = ("relay", "disk")
PROTECTIONS = sorted({*BY_STAGING, *EDITS, *PATCHES})


def remove(protection: str) -> None:
    """Remove the protection in this process and its forks."""
    texts = {name: sources.script_source(name) for name, _, _ in EDITS.get(protection, ())}
    for name, text, replacement in EDITS.get(protection, ()):
        if text not in texts[name]:
            raise SystemExit(f"{name}.lua no longer contains {text!r}: update chaos/unprotected.py")
        texts[name] = texts[name].replace(text, replacement)
    whole = sources.script_source
    sources.script_source = lambda name: texts.get(name) or whole(name)  # type: ignore[assignment]  # not cached
    PATCHES.get(protection, lambda: None)()


if __name__ == "__main__":
    remove(sys.argv[1])
    # The replacement must also apply in the API's serving processes.
    multiprocessing.set_start_method("fork")
    runpy.run_module(sys.argv[2], run_name="__main__", alter_sys=True)
