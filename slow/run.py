"""Run the service between relays, cause each kind of slowness in turn, and probe meanwhile."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from chaos.stage import Stage, free_ports
from slow.probe import Answers, Probes
from slow.relay import Relay
from slow.troubles import MARKS, Act

ROLES = ("valkey", "sandbox", "api")
PROBE_SECONDS = 12.0
Trouble = Callable[[Stage, Relay], AbstractContextManager[Act | None]]


@contextmanager
def stage_with_relay(**settings: str) -> Iterator[tuple[Stage, Relay]]:
    """Run API, Redis and the sandbox with default settings, a relay before the last two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    redis_port, stripe_port = free_ports(2)
    own: dict[str, Any] = {
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "STRIPE_API_BASE": f"http://127.0.0.1:{stripe_port}",
        "STRIPE_TIMEOUT_SECONDS": "10",
    }
    try:
        stage = Stage(only=ROLES, **(own | settings))
        redis = Relay(redis_port, int(stage.redis_url.rpartition(":")[2].partition("/")[0]))
        stripe = Relay(stripe_port, int(stage.sandbox.rpartition(":")[2]), MARKS)
        with redis, stripe, stage:
            yield stage, redis
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def probe(
    stage: Stage, redis: Relay, trouble: Trouble, seconds: float = PROBE_SECONDS
) -> dict[str, Answers]:
    """Cause one kind of slowness; return each probe's results during it."""
    with trouble(stage, redis) as act, Probes(stage.api) as probes:
        (act or time.sleep)(seconds)
    return probes.answers
