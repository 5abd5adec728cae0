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

from chaos.stage import free_ports
from local.embedded_valkey import valkey_binary

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
# Seconds: the limit of all waiting in tests. Only a hang reaches it, however busy the machine is; a
# laptop needs a second.
PATIENCE_SECONDS = 120.0
# TEST_STORE=cluster runs all tests on a server in cluster mode, as CI does for some.
CLUSTER_MODE = os.environ.get("TEST_STORE") == "cluster"


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
    *arguments: str, environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a process for the duration of the block; terminate it, then kill it, at the end."""
    ours = ("STRIPE_", "EVENT_SERVICE", "SANDBOX_", "RECEIVER_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    out = log.open("a") if log else subprocess.PIPE
    running = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=clean | (environment or {}),
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
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
        if running.stdout:
            running.stdout.close()
        elif log:
            out.close()  # type: ignore[union-attr]  # a file, as opened above


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
