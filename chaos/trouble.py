"""The failures: killed, restarted and frozen processes, failing peers, disturbed webhooks.

The seed determines the order of the failures, the progress of the run their times.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

import requests

from chaos.stage import HANDS, STOP_LIMIT_SECONDS, Service, Stage

Json = dict[str, Any]
VICTIMS = {"worker": 30, "notifier": 15, "api": 20, "upkeep": 15, "valkey": 20}
# Seconds for which a killed process is down: from an instant restart to a slow host.
DEAD_SECONDS = (0.1, 2.5)
# Seconds: longer than the longest lease of a delivery with `stage.SETTINGS`, so that another worker
# has done the work of a frozen one when it resumes.
FROZEN_SECONDS = (4.0, 14.0)
STRIPE_FAULTS: tuple[Json, ...] = (
    {"kind": "error", "status": 429, "retry_after": 1, "times": 6},
    {"kind": "error", "status": 500, "times": 4},
    {"kind": "error", "status": 500, "phase": "after", "times": 4},
    {"kind": "error", "status": 503, "times": 4},
    {"kind": "timeout", "phase": "before", "delay_seconds": 3, "times": 2},
    {"kind": "timeout", "phase": "after", "delay_seconds": 3, "times": 3},
    {"kind": "disconnect", "phase": "after", "times": 5},
    {"kind": "disconnect", "phase": "before", "times": 5},
)
STRIPE_PATHS = ("/v1/payment_intents", "/v1/refunds", "/v1/")
RECEIVER_FAULTS: tuple[Json, ...] = (
    {"status": 500, "count": 15},
    {"status": 503, "retry_after": 1, "count": 15},
    {"status": 429, "retry_after": 1, "count": 8},
    {"status": 200, "delay_seconds": 3, "count": 3},
    {"status": 500, "delay_seconds": 3, "count": 6},
    {"status": 302, "count": 4},
    {"status": 400, "count": 3, "match": {"type": "payment.succeeded"}},
)
WEBHOOK_DISTURBANCES: tuple[Json, ...] = (
    {"mode": "doubled", "count": 40},
    {"mode": "doubled", "count": 15, "delay_seconds": 4},
    {"mode": "out_of_order", "count": 10},
    {"mode": "late", "count": 20, "delay_seconds": 3},
    {"mode": "dropped", "count": 5},
)
CONTROL_LIMIT_SECONDS = 10.0


@dataclass
class Trouble:
    """Causes failures step by step: `run_once` does everything that is due."""

    stage: Stage
    dice: Random
    kills: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    freezes: int = 0
    wipes: int = 0
    died: list[str] = field(default_factory=list)
    stopped_badly: list[str] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _away: set[str] = field(default_factory=set)

    def run_once(self) -> None:
        """Restart and resume processes that are due; record those that ended without a request."""
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()
        for service in self.stage.services.values():
            if service.name not in self._away and not service.alive:
                assert service.process is not None  # noqa: S101  # it was started
                self.died.append(f"{service.name} ({service.process.returncode})")
                service.start()

    def kill(self) -> None:
        """Kill one running process, to be restarted soon."""
        victim = self._choose_victim()
        pause = self.dice.uniform(*DEAD_SECONDS)
        if victim.name in self._away:
            return self._after(0.5, self.kill)
        self.kills[victim.role] += 1
        self._away.add(victim.name)
        victim.kill()
        return self._after(pause, lambda: self._revive(victim))

    def restart(self) -> None:
        """Ask one running process to stop, as a release does, and start it when it has ended."""
        victim = self._choose_victim()
        if victim.name in self._away or not victim.handles_stop:
            return self._after(0.5, self.restart)
        self.restarts[victim.role] += 1
        self._away.add(victim.name)
        victim.terminate()
        return self._start_when_ended(victim, time.monotonic() + STOP_LIMIT_SECONDS)

    def _start_when_ended(self, service: Service, until: float) -> None:
        """Start it again, and record a stop that failed or took longer than a platform waits."""
        if service.alive and time.monotonic() < until:
            return self._after(0.1, lambda: self._start_when_ended(service, until))
        if service.alive:
            self.stopped_badly.append(f"{service.name} (after {STOP_LIMIT_SECONDS:.0f} s)")
            service.kill()
        elif service.process and service.process.returncode:
            self.stopped_badly.append(f"{service.name} ({service.process.returncode})")
        return self._revive(service)

    def _choose_victim(self) -> Service:
        roles = [role for role in VICTIMS if self.stage.roles(role)]
        role = self.dice.choices(roles, [VICTIMS[role] for role in roles])[0]
        return self.dice.choice(self.stage.roles(role))

    def freeze(self) -> None:
        """Freeze a worker for longer than a lease, then resume it."""
        victim = self.dice.choice(self.stage.roles(*HANDS))
        pause = self.dice.uniform(*FROZEN_SECONDS)
        if victim.name in self._away:
            return self._after(0.5, self.freeze)
        self.freezes += 1
        self._away.add(victim.name)
        victim.send(signal.SIGSTOP)
        return self._after(pause, lambda: self._thaw(victim))

    def wipe(self) -> None:
        """Kill Valkey, delete all its data and start it empty."""
        valkey = self.stage.services["valkey"]
        if valkey.name in self._away:
            return self._after(0.5, self.wipe)
        self.wipes += 1
        valkey.kill()
        shutil.rmtree(self.stage.folder / "appendonlydir")
        return valkey.start()

    def disturb(self) -> None:
        """Make Stripe or the event service fail, or Stripe's webhooks unreliable, for a while."""
        kind = self.dice.choice(("stripe", "event_service", "webhooks"))
        if kind == "stripe":
            fault = dict(self.dice.choice(STRIPE_FAULTS))
            fault["path_prefix"] = self.dice.choice(STRIPE_PATHS)
            self._tell(f"{self.stage.sandbox}/_sandbox/faults", fault)
        elif kind == "event_service":
            fault = self.dice.choice(RECEIVER_FAULTS)
            self._tell(f"{self.stage.receiver}/_control/faults", fault)
        else:
            fault = self.dice.choice(WEBHOOK_DISTURBANCES)
            self._tell(f"{self.stage.sandbox}/_sandbox/deliveries", fault)
        self.faults[kind] += 1

    def settle(self) -> None:
        """End every disturbance and restart all processes."""
        for url in (
            f"{self.stage.sandbox}/_sandbox/faults",
            f"{self.stage.sandbox}/_sandbox/deliveries",
            f"{self.stage.receiver}/_control/faults",
        ):
            requests.delete(url, timeout=CONTROL_LIMIT_SECONDS).raise_for_status()
        while self._later:
            self._later = [(0.0, act) for _, act in self._later]
            self.run_once()
            time.sleep(0.01)  # a process that was asked to stop may need a moment

    def _revive(self, service: Service) -> None:
        self._away.discard(service.name)
        service.start()

    def _thaw(self, service: Service) -> None:
        self._away.discard(service.name)
        service.send(signal.SIGCONT)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, act))

    @staticmethod
    def _tell(url: str, body: Json) -> None:
        requests.post(url, json=body, timeout=CONTROL_LIMIT_SECONDS).raise_for_status()
