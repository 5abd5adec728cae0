"""The duty `payment_index`: add missing payments to the index and remove expired ones."""

from __future__ import annotations

from shared.telemetry.logging import get_logger
from shared.work.payment_index_repair import IndexRepair
from worker.runtime import Runtime

log = get_logger(__name__)
INTERVAL_SECONDS = 3600.0


def run_once(runtime: Runtime) -> float:
    """Do one part of the repair; return the pause in seconds until the next.

    Raises `Unavailable`.
    """
    settings = runtime.settings
    repair = IndexRepair(runtime.store, runtime.payments, settings.indexed_metadata)
    if not repair.fill():
        return 0.0
    removals = repair.clear()
    if removals:
        log.info("payment_index_cleared", members=removals)
    return INTERVAL_SECONDS
