"""Every command to Redis in the documents runs against the Redis of a running service.

Commands that are documented with `redis-cli` run in that program too, where it is installed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from local.embedded_valkey import valkey_binary
from tests.documents import Command, indented, mentioned, to_redis
from tests.e2e.running import Service, service
from tests.servers import free_port, process, wait_until

# The value that a person would insert for each placeholder.
PLACEHOLDERS = {"SET maxmemory …": "SET maxmemory 100mb", "SETUSER …": "SETUSER billing-api"}
# The lines of the configuration file in docs/going-live.md, step 2.
PAGE, FIRST_LINE = "docs/going-live.md", "appendonly yes"
# Keys that are empty while all is well.
EMPTY = (
    "LRANGE {billing}:garbage 0 -1",
    "LLEN {billing}:notifications",
    "ZRANGE {billing}:due:events 0 9 WITHSCORES",
)
CLIENTS = ("redis-cli", "valkey-cli")


def redis_cli() -> list[str]:
    """List the commands that are documented with `redis-cli`."""
    return sorted({c.text for c in mentioned() if c.text.startswith("redis-cli ")})


def of_clients() -> list[Command]:
    """List them as commands to Redis, without the options of `redis-cli` itself."""
    texts = [text.removeprefix("redis-cli ") for text in redis_cli()]
    return [Command("redis-cli", text) for text in texts if not text.startswith("--")]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Service:
    with service(tmp_path_factory.mktemp("service")) as service_run:
        yield service_run


@pytest.fixture(scope="module")
def socket(running: Service) -> str:
    """Return the socket of the service's Redis, which is embedded."""
    (path,) = (running.log.parent / "data").rglob("*.sock")
    return str(path)


@pytest.fixture(scope="module")
def names(running: Service) -> dict[str, str]:
    """Make a payment; return its id and that of its event by their placeholders."""
    payment = running.pay("pm_card_visa").json()["payment_intent_id"]
    (notification,) = running.notifications_of(payment, "payment.succeeded")
    return {"pi_…": payment, "evt_…": notification["body"]["data"]["stripe_event_id"]}


def filled(text: str, names: dict[str, str]) -> list[str]:
    for placeholder, value in (PLACEHOLDERS | names).items():
        text = text.replace(placeholder, value)
    assert "…" not in text, "a placeholder without a value"
    return text.split()


@pytest.mark.long
def test_every_command_to_redis_gets_an_answer(socket: str, names: dict[str, str]) -> None:
    commands = [*to_redis(), *of_clients()]
    assert len(commands) > len(EMPTY)
    with Redis(unix_socket_path=socket) as client:
        answers: dict[str, Any] = {
            one.text: client.execute_command(*filled(one.text, names)) for one in commands
        }
    # An error raises; an empty answer is that of a key which the service does not write.
    assert [text for text, answer in answers.items() if not answer and text not in EMPTY] == []
    assert set(EMPTY) <= answers.keys(), "no document names it any more"


@pytest.mark.long
@pytest.mark.parametrize("text", redis_cli())
def test_redis_cli_does_what_it_is_documented_for(socket: str, text: str) -> None:
    client = next(filter(shutil.which, CLIENTS), None)
    if client is None:
        pytest.skip("no redis-cli on this machine; Debian's package redis-tools has it")
    command = [client, "-s", socket, "-e", *text.split()[1:]]
    process_run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert process_run.returncode == 0, process_run.stdout + process_run.stderr
    assert process_run.stdout.strip()


@contextmanager
def redis_with(settings: Path) -> Iterator[Redis]:
    """Start Redis with this configuration file."""
    port, log = free_port(), settings.with_suffix(".log")
    options = ("--port", str(port), "--dir", str(settings.parent))
    with process(str(valkey_binary()), str(settings), *options, log=log) as run:

        def answers() -> bool:
            assert run.poll() is None, log.read_text()
            return "eady to accept connections" in log.read_text()

        wait_until(answers, "Redis accepts the file")
        with Redis(port=port, decode_responses=True) as client:
            yield client


def test_redis_starts_with_the_documented_settings(tmp_path: Path) -> None:
    settings = tmp_path / "redis.conf"
    settings.write_text(indented(PAGE, FIRST_LINE))
    with redis_with(settings) as client:
        configured: dict[str, str] = client.config_get("*")
    assert configured["appendonly"] == "yes"
    assert configured["appendfsync"] == "always"
    assert configured["maxmemory-policy"] == "noeviction"
    assert int(configured["maxmemory"]) > 0
