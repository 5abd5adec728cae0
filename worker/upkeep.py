"""Upkeep: the periodic duties, and the process of the relay, which rings for all due work.

`python -m worker.upkeep` is the relay. Run one or many; there is no leader. The duties are items of
work like any other, which a worker claims, so that only one worker performs each at a time.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from shared.lasting_imports import lasting_imports

with lasting_imports():
    from shared.errors import Misconfigured, Unavailable
    from shared.opening import begin, ensure_usable
    from shared.refusal import refuse_start
    from shared.settings import Settings, load_settings
    from shared.stopping import STOPS, StopRequest, ignore_stops
    from shared.store.connection import open_store
    from shared.store.scripts import Store
    from shared.telemetry.logging import configure_logging, get_logger
    from shared.work.items import Claim
    from shared.work.liveness import RELAY, Signs, pulse
    from shared.work.results import Snooze
    from worker import payment_index, reap, reconcile, refund_batches, relay
    from worker.background import step_back
    from worker.runtime import Runtime

log = get_logger(__name__)
REAP_INTERVAL_SECONDS = 3600.0
# Pause before reconcile continues after it stopped at a full inbox.
FULL_SECONDS = 15.0


def run_upkeep(runtime: Runtime, claim: Claim) -> Snooze:
    """Perform one duty, and return when it is due again.

    Raises the errors of the duty. The runner then retries it; a duty never becomes a dead letter.
    """
    return Snooze(DUTIES[claim.id](runtime))


def _reconcile(runtime: Runtime) -> float:
    """Run a part of a round; return the pause in seconds until the next part or round."""
    outcome = reconcile.run_once(runtime).outcome
    pauses = {"deadline": 0.0, "full": FULL_SECONDS}
    return pauses.get(outcome, runtime.settings.reconcile_interval_seconds)


def _reap(runtime: Runtime) -> float:
    reap.run_once(runtime)
    return REAP_INTERVAL_SECONDS


DUTIES: dict[str, Callable[[Runtime], float]] = {
    "reconcile": _reconcile,
    "reap": _reap,
    "payment_index": payment_index.run_once,
    refund_batches.DUTY: refund_batches.run_once,
}


class Heartbeat:
    """Touch the file of the health check; a disk that refuses it does not end the relay."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._failed = False

    def beat(self) -> None:
        """Touch the file, if there is one; log the first failure."""
        if self._path is None:
            return
        try:
            self._path.touch()
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.error("heartbeat_failed", error=str(error), detail="The health check fails.")  # noqa: TRY400  # the disk's refusal says it all
            self._failed = True


def serve(store: Store, settings: Settings, stop: StopRequest) -> None:
    """Run the relay until `stop` is set; wait while Redis is unavailable."""
    signs = Signs(store)
    is_away = False
    heartbeat = Heartbeat(settings.heartbeat_file)
    while not stop.is_set():
        heartbeat.beat()
        try:
            rings = relay.run_once(store)
            signs.give(RELAY)
            pulse(store)
            if is_away:
                log.info("redis_is_back")
            is_away = False
            if any(rings.values()):
                log.debug("relayed", **rings)
            relay.wait(store, settings.relay_interval_seconds, stop)
        except Unavailable as error:
            if not is_away:  # log it once, because the next sweep follows in half a second
                log.warning("relay_failed", error=str(error), detail="Trying until Redis is back.")
            is_away = True
            stop.wait(settings.relay_interval_seconds)


def main() -> None:
    """Run the relay until a signal to stop; exit 2 and name every problem of the settings."""
    try:
        settings = load_settings("upkeep")
    except Misconfigured as error:
        refuse_start("Upkeep", error)
    configure_logging(settings, "upkeep")
    step_back()
    stop = StopRequest()
    for number in STOPS:
        signal.signal(number, lambda *_: stop.set())
    store = open_store(settings, "billing-upkeep")
    try:
        ours = ensure_usable(store, settings)
    except Misconfigured as error:
        refuse_start("Upkeep", error)
    begin(store, settings, ours)
    log.info("upkeep_started", interval_seconds=settings.relay_interval_seconds)
    serve(store, settings, stop)
    ignore_stops()
    log.info("upkeep_stopped")


if __name__ == "__main__":
    main()
