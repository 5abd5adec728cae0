"""The stage: all processes of the service on free loopback ports, each restartable."""

from __future__ import annotations

import itertools
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import requests
from redis import Redis
from redis.exceptions import RedisError

from local.embedded_valkey import valkey_binary

T = TypeVar("T")
Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[1]
# Below the range from which the kernel takes ports for outgoing connections, so that no connection
# gets the port of a server that is down.
PORTS = range(12_300, 32_000)
ROLES = ("valkey", "sandbox", "receiver", "api", "worker", "notifier", "upkeep")
HANDS = ("worker", "notifier")
START_LIMIT_SECONDS = 60.0  # a busy CI machine; a laptop needs about three
STOP_LIMIT_SECONDS = 30.0  # as container platforms give
POLL_SECONDS = 0.05
WEBHOOK_SECRET = "whsec_" + "c4a05" * 8  # a secret for loopback during one run
NOTIFICATION_SECRET = "whsec_Y2hhb3MtY2hhb3MtY2hhb3MtY2hhb3M="  # noqa: S105  # as the one above
# As in `local.embedded_valkey`: the service's promises depend on these.
VALKEY_OPTIONS = (
    "--appendonly yes --appendfsync always --no-appendfsync-on-rewrite no "
    "--aof-load-truncated yes --save '' --maxmemory-policy noeviction"
)
# Shorter limits, and so shorter leases, so that a crash or a hang costs seconds. All other settings
# have their defaults.
SETTINGS = {
    "STRIPE_TIMEOUT_SECONDS": "2",
    "EVENT_SERVICE_TIMEOUT_SECONDS": "2",
    "RETRY_CAP_SECONDS": "4",
    "RECONCILE_INTERVAL_SECONDS": "30",
    "LOG_LEVEL": "WARNING",
}


class NotQuiet(Exception):
    """Something did not happen in time; the message names it."""


def wait_until(condition: Callable[[], T], what: str, limit_seconds: float) -> T:
    """Wait until the condition returns something true, and return it; raises `NotQuiet`."""
    give_up_at = time.monotonic() + limit_seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up_at:
            raise NotQuiet(f"waited {limit_seconds:.0f} s without success until {what}")
        time.sleep(POLL_SECONDS)


@dataclass
class Service:
    """One process of the service, with its group: it can be started, killed, frozen, resumed."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    ending: subprocess.Popen[bytes] | None = None

    @property
    def role(self) -> str:
        """Return its role: `worker` for `worker-2`."""
        return self.name.partition("-")[0]

    @property
    def pid(self) -> int:
        """Return the pid, which is also that of its group."""
        assert self.process is not None  # noqa: S101  # a caller's mistake, not a condition
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Say whether the process runs."""
        return self.process is not None and self.process.poll() is None

    @property
    def handles_stop(self) -> bool:
        """Say whether it has installed a handler of SIGTERM, as it does while it starts."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)

    def start(self) -> None:
        """Start it; call this from the main thread, because it ends together with that thread."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chaos.tether", *self.command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole group."""
        os.killpg(self.pid, number)

    def kill(self) -> None:
        """Kill it with all its children."""
        self.send(signal.SIGKILL)
        assert self.process is not None  # noqa: S101  # a caller's mistake here too
        self.process.wait()

    def terminate(self) -> None:
        """Send SIGTERM, but only once: a second one would cut the stop short."""
        if self.process is not None and self.ending is not self.process:
            self.ending = self.process
            self.process.terminate()

    def stop(self) -> float:
        """Send SIGTERM and return the seconds until it ended; kill it after the limit."""
        if self.process is None or not self.alive:
            return 0.0
        asked_at = time.monotonic()
        self.terminate()
        try:
            self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        return time.monotonic() - asked_at

    def log(self) -> str:
        """Return its whole output."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")


@dataclass(frozen=True)
class Crew:
    """The numbers of background processes.

    With `notifiers`, only they serve the notifications, as in the Procfile; without them, every
    worker serves every queue.
    """

    workers: int = 2
    notifiers: int = 0
    upkeeps: int = 2


def _skewing(skews: Sequence[float]) -> Callable[[list[str]], list[str]]:
    """Return a function that sets the clock of each given command ahead by the next skew."""
    following = itertools.cycle(skews)

    def skewed(command: list[str]) -> list[str]:
        if not skews:
            return command
        python, flag, *module = command
        return [python, flag, "chaos.skewed", str(next(following)), *module]

    return skewed


class Stage:
    """All processes of one run, started on entry and stopped on exit.

    `wrap` may replace the command line of a module, to remove a protection. `only` selects roles,
    `settings` change the service's environment. `skews` are seconds by which the clocks of workers,
    notifiers and upkeep are ahead; each process gets the next one.
    """

    def __init__(
        self,
        *,
        crew: Crew = Crew(),
        wrap: Callable[[str], list[str]] | None = None,
        valkey_options: str = VALKEY_OPTIONS,
        skews: Sequence[float] = (),
        only: Collection[str] = ROLES,
        **settings: str,
    ) -> None:
        # Logs and data are kept after a failure, or when this is set.
        self.keep = False
        self.folder = Path(tempfile.mkdtemp(prefix="billing-chaos-"))
        ports = free_ports(4)
        self.api, self.sandbox, self.receiver = (f"http://127.0.0.1:{p}" for p in ports[:3])
        self._valkey_port = ports[3]
        self.redis_url = f"redis://127.0.0.1:{ports[3]}/0"
        self.redis = Redis.from_url(self.redis_url, decode_responses=True, socket_timeout=5)
        self.environment = self._variables(ports) | SETTINGS | settings
        module = wrap or (lambda name: [sys.executable, "-m", name])
        self.services: dict[str, Service] = {}
        valkey = f"--port {ports[3]} --bind 127.0.0.1 --dir . {valkey_options}"
        self._add("valkey", [str(valkey_binary()), *shlex.split(valkey)])
        self._add("sandbox", [sys.executable, "-m", "sandbox"])
        self._add("receiver", [sys.executable, "-m", "sandbox.receiver"])
        self._add("api", module("api"))
        skewed = _skewing(skews)
        money = {"WORKER_QUEUES": "events,refunds,upkeep"} if crew.notifiers else {}
        for number in range(1, crew.workers + 1):
            self._add(f"worker-{number}", skewed(module("worker")), **money)
        for number in range(1, crew.notifiers + 1):
            notifier = skewed(module("worker"))
            self._add(f"notifier-{number}", notifier, WORKER_QUEUES="notifications")
        for number in range(1, crew.upkeeps + 1):
            self._add(f"upkeep-{number}", skewed(module("worker.upkeep")))
        self.services = {n: s for n, s in self.services.items() if s.role in only}

    def _variables(self, ports: list[int]) -> dict[str, str]:
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return own | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "STRIPE_SECRET_KEY": "sk_test_chaos",
            "STRIPE_API_BASE": self.sandbox,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "EVENT_SERVICE_URL": self.receiver,
            "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
            "REDIS_URL": self.redis_url,
            "PORT": str(ports[0]),
            "SANDBOX_PORT": str(ports[1]),
            "RECEIVER_PORT": str(ports[2]),
            "SANDBOX_WEBHOOK_URL": f"{self.api}/api/webhook",
            "SANDBOX_WEBHOOK_SECRET": WEBHOOK_SECRET,
            # The audit needs all objects.
            "SANDBOX_KEEP": "10000000",
            "RECEIVER_KEEP": "10000000",
        }

    def _add(self, name: str, command: list[str], **own: str) -> None:
        self.services[name] = Service(name, command, self.environment | own, self.folder)

    def __enter__(self) -> Self:
        """Start all processes and return when all answer; raises `NotQuiet`."""
        try:
            for service in self.services.values():
                service.start()
                if service.name == "valkey":
                    wait_until(self.valkey_answers, "valkey answers", START_LIMIT_SECONDS)
            self.wait_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Stop all processes; Valkey last, so that workers can return their work."""
        running = [service for service in self.services.values() if service.alive]
        for service in running:
            service.send(signal.SIGCONT)
            if service.role != "valkey":
                service.terminate()
        for service in reversed(running):
            service.stop()
        self.redis.close()
        if error is None and not self.keep:
            shutil.rmtree(self.folder)

    def roles(self, *roles: str) -> list[Service]:
        """Return all services of these roles."""
        return [service for service in self.services.values() if service.role in roles]

    def wait_ready(self) -> None:
        """Wait until all servers answer and all workers consume; fail at once if one ended."""
        count = len(self.roles(*HANDS))
        urls = {"sandbox": "/_sandbox/clock", "receiver": "/health", "api": "/health"}
        addresses = [getattr(self, n) + path for n, path in urls.items() if n in self.services]

        def ready() -> bool:
            for service in self.services.values():
                if not service.alive:
                    raise NotQuiet(f"{service.name} ended:\n{service.log()}")
            return all(map(answers, addresses)) and self.consumers() >= count

        wait_until(ready, "all answer and workers consume", START_LIMIT_SECONDS)

    def consumers(self) -> int:
        """Count the workers that wait for a message now."""
        try:
            clients: list[Json] = self.redis.client_list()
        except RedisError:
            return 0
        return sum(
            client["name"] == "billing-worker" and client["cmd"] == "brpop" for client in clients
        )

    def valkey_answers(self) -> bool:
        """Say whether Valkey answers and has loaded its data."""
        try:
            return bool(self.redis.ping())
        except RedisError:
            return False


def answers(url: str) -> bool:
    """Say whether a GET gets a 2xx answer."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def free_ports(count: int, among: Sequence[int] = PORTS) -> list[int]:
    """Find unused loopback ports."""
    ports: list[int] = []
    dice = random.SystemRandom()
    while len(ports) < count:
        port = dice.choice(among)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports
