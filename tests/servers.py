"""Real servers for tests: Valkey, the sandbox and the receiver, each on a free loopback port."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from redis import Redis
from redis.exceptions import RedisError

from chaos import stage
from local.embedded_valkey import valkey_binary
from tests.warm import IS_MEASURED, Forked, python_of

T = TypeVar("T")
Process = subprocess.Popen[bytes] | Forked
ROOT = Path(__file__).resolve().parents[1]
# Seconds: the limit of all waiting in tests. Only a hang reaches it, however busy the machine is; a
# laptop needs a second.
PATIENCE_SECONDS = 120.0
# TEST_STORE=cluster runs all tests on a server in cluster mode, as CI does for some.
CLUSTER_MODE = os.environ.get("TEST_STORE") == "cluster"


# Each process of a run has ports of its own, so that none takes what another has found unused.
SHARES = 16
SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % SHARES
OWN_PORTS = stage.PORTS[SHARE::SHARES]


def free_ports(count: int) -> list[int]:
    """Find unused loopback ports."""
    return stage.free_ports(count, OWN_PORTS)


def free_port() -> int:
    """Find an unused loopback port; for several at a time use `free_ports`."""
    return free_ports(1)[0]


def wait_until(condition: Callable[[], T], what: str) -> T:
    """Wait until a condition returns something true, and return it; fail with the last value."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited in vain for: {what}; last seen: {value!r}")
        time.sleep(0.02)


@contextmanager
def process(
    *arguments: str,
    environment: dict[str, str] | None = None,
    log: Path | None = None,
    cold: bool = False,
) -> Iterator[Process]:
    """Run a process for the duration of the block; terminate it, then kill it, at the end.

    Without a log its output is thrown away. A module of Python is forked from a warm one, unless it
    is to start `cold`.
    """
    ours = ("STRIPE_", "EVENT_SERVICE", "SANDBOX_", "RECEIVER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    everything = clean | (environment or {})
    is_module = arguments[:2] == (sys.executable, "-m")
    with (log or Path(os.devnull)).open("a") as out:
        running: Process
        if is_module and not cold and not IS_MEASURED:
            python = python_of(arguments[2])
            running = python.start(*arguments[1:], environment=everything, out=out.fileno())
        else:
            running = subprocess.Popen(
                arguments, cwd=ROOT, env=everything, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


@contextmanager
def valkey(*options: str, port: int | None = None, cluster: bool = CLUSTER_MODE) -> Iterator[str]:
    """Run a real Valkey server, on a given port and in cluster mode if asked; give its URL."""
    port = port or free_port()
    command = [str(valkey_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    command += ["--maxmemory-policy", "noeviction", *options]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--dir", folder]
        if cluster:
            command += ["--cluster-enabled", "yes", "--cluster-port", str(free_port())]
        with process(*command, log=Path(os.devnull)):
            url = f"redis://127.0.0.1:{port}/0"
            _await_valkey(url, cluster=cluster)
            yield url


def _await_valkey(url: str, *, cluster: bool) -> None:
    with Redis.from_url(url) as client:
        wait_until(lambda: _answers(client), "Valkey answers")
        if cluster:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: _serves(client), "the cluster serves")


def _serves(client: Redis) -> bool:
    return "cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO"))


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


@contextmanager
def sandbox(**environment: str) -> Iterator[str]:
    """Run the sandbox; give its URL."""
    yield from _announced("sandbox", {"SANDBOX_PORT": "0"} | environment)


@contextmanager
def receiver(**environment: str) -> Iterator[str]:
    """Run the event-service receiver; give its URL."""
    yield from _announced("sandbox.receiver", {"RECEIVER_PORT": "0"} | environment)


def _announced(module: str, environment: dict[str, str]) -> Iterator[str]:
    log = Path(tempfile.mkstemp(prefix=f"{module}-")[1])
    with process(sys.executable, "-m", module, environment=environment, log=log):
        address = re.compile(r"listening on (http://[\d.]+:\d+)")
        value = wait_until(lambda: address.search(log.read_text()), f"{module} listens")
        assert value is not None
        yield value.group(1)
    log.unlink()
