"""Troubles of a real Valkey: each refuses commands in its own way until it is ended."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from tests import servers

# What Valkey must be started with for `loading`.
OPTIONS = ("--enable-debug-command", "yes")
# Ten seconds of loading, which the end of the trouble cuts short. Redis answers between two keys.
BALLAST_KEYS, KEY_BYTES, LOAD_DELAY_MICROSECONDS = 5_000, 1_024, 2_000
Trouble = Callable[[Redis], Callable[[], object]]


def full(redis: Redis) -> Callable[[], object]:
    # Far above the limit, so that what Redis lets go meanwhile makes no room.
    redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)
    return lambda: redis.config_set("maxmemory", 0)


def without_replicas(redis: Redis) -> Callable[[], object]:
    redis.config_set("min-replicas-to-write", 1)
    return lambda: redis.config_set("min-replicas-to-write", 0)


def read_only(redis: Redis) -> Callable[[], object]:
    redis.execute_command("REPLICAOF", "127.0.0.1", "9")
    return lambda: redis.execute_command("REPLICAOF", "NO", "ONE")


def unsaved(redis: Redis) -> Callable[[], object]:
    """Let a snapshot fail: a folder is where its file would be (MISCONF)."""
    name = str(redis.config_get("dbfilename")["dbfilename"])
    blocked = Path(redis.config_get("dir")["dir"]) / name
    redis.config_set("save", "3600 1")
    blocked.unlink(missing_ok=True)
    blocked.mkdir()
    _snapshot(redis, "err")

    def end() -> None:
        blocked.rmdir()
        _snapshot(redis, "ok")

    return end


def _snapshot(redis: Redis, outcome: str) -> None:
    redis.bgsave()
    servers.wait_until(
        lambda: not redis.info("persistence")["rdb_bgsave_in_progress"], "the snapshot ends"
    )
    assert redis.info("persistence")["rdb_last_bgsave_status"] == outcome


def loading(redis: Redis) -> Callable[[], object]:
    """Let Redis read its data from disk, as after a restart with a large file (LOADING)."""
    redis.execute_command("DEBUG", "POPULATE", BALLAST_KEYS, "ballast", KEY_BYTES)
    redis.config_set("rdbcompression", "no")
    redis.config_set("loading-process-events-interval-bytes", KEY_BYTES)
    redis.config_set("key-load-delay", LOAD_DELAY_MICROSECONDS)
    connection = redis.connection_pool.connection_kwargs

    def reload() -> None:
        with Redis(port=connection["port"]) as own:
            own.execute_command("DEBUG", "RELOAD")

    reader = threading.Thread(target=reload)
    reader.start()
    servers.wait_until(lambda: redis.info("persistence")["loading"], "Redis reads its data")

    def end() -> None:
        redis.config_set("key-load-delay", 0)
        reader.join()

    return end


def asleep(redis: Redis) -> Callable[[], object]:
    process = int(redis.info("server")["process_id"])
    os.kill(process, signal.SIGSTOP)
    return lambda: os.kill(process, signal.SIGCONT)


TROUBLES = (full, without_replicas, read_only, unsaved, loading, asleep)


@contextmanager
def troubled(redis: Redis, trouble: Trouble) -> Iterator[None]:
    """Trouble a server for the duration of the block."""
    end = trouble(redis)
    try:
        yield
    finally:
        end()
