"""Durability: the settings of Redis or Valkey without which accepted work can be lost.

Checked when a process starts and whenever `./billing doctor` or a scrape of the metrics asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

from redis.exceptions import NoPermissionError, RedisError

from shared.errors import Misconfigured, Unavailable
from shared.settings import Settings
from shared.store.scripts import Store, redis_errors
from shared.telemetry.logging import get_logger

log = get_logger(__name__)
Level = Literal["ok", "warning", "error"]
# Scripts declare flags (`allow-oom`) in their first line: since Redis 7.0.
OLDEST_REDIS = (7, 0)
MIN_REPLICAS = "min-replicas-to-write"
STOPS_WRITES = "stop-writes-on-bgsave-error"
CONFIGURED = ("appendonly", "appendfsync", "maxmemory-policy", "save", MIN_REPLICAS, STOPS_WRITES)
# Share of its memory limit above which Redis counts as nearly full.
NEARLY_FULL = 0.8
# Seconds: a person who looks once a day sees it.
DROPPED_SECONDS = 86_400


@dataclass(frozen=True)
class Finding:
    """The result of one check: its level, a description, and the fix unless it is `ok`."""

    level: Level
    area: str
    what: str
    fix: str = ""


NO_RIGHT = Finding(
    "warning",
    "redis",
    "NOPERM: this user may not run INFO, so the durability of Redis is not checked",
    "Give the user +info, or check yourself that appendonly is yes and the policy noeviction.",
)


@dataclass(frozen=True)
class Memory:
    """The memory that Redis uses and its limit, in bytes; 0 means that there is no limit."""

    used: int
    limit: int


def memory(store: Store) -> Memory | None:
    """Read how full Redis is; None when our user has no right to. Raises `Unavailable`."""
    info = _info(store, "memory")
    if info is None:
        return None
    return Memory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))


def inspect(store: Store) -> list[Finding]:
    """Examine every setting of Redis the service depends on, and its replicas.

    Raises `Unavailable`.
    """
    used = memory(store)
    fullness = [] if used is None else [_fullness(used)]
    settings = [*inspect_settings(store), *_snapshots(store)]
    return [*settings, *_replication(store), *fullness, *dropped(store)]


def alarming(store: Store) -> list[Finding]:
    """List the findings for the console: what loses or refuses work, and a dropped command.

    Raises `Unavailable`.
    """
    errors = [finding for finding in inspect_settings(store) if finding.level == "error"]
    return [*errors, *_snapshots(store), *dropped(store)]


def note_dropped(store: Store, text: str) -> None:
    """Store for a day the notice of a command that a start dropped. Raises `Unavailable`."""
    with redis_errors():
        store.redis.set(store.keys.dropped(), text, ex=DROPPED_SECONDS)


def dropped(store: Store) -> list[Finding]:
    """Return the notice of a command that the last start dropped. Raises `Unavailable`."""
    text = store.get(store.keys.dropped())
    fix = "The client of that command repeats its request; ./billing reconcile fetches lost events."
    return [Finding("warning", "redis", text, fix)] if text else []


def inspect_settings(store: Store) -> list[Finding]:
    """Examine the settings that decide whether Redis can lose writes. Raises `Unavailable`."""
    server, persistence, capacity = (
        _info(store, section) for section in ("server", "persistence", "memory")
    )
    if server is None or persistence is None or capacity is None:
        return [NO_RIGHT]
    config = _config(store)
    return [
        _version(server),
        _append_only(config.get("appendonly"), persistence),
        _fsync(config.get("appendfsync")),
        _eviction(config.get("maxmemory-policy") or capacity.get("maxmemory_policy")),
    ]


def _info(store: Store, section: str) -> dict[str, Any] | None:
    """Read INFO; None when our user may not. Raises `Unavailable`."""
    with redis_errors():
        try:
            return store.redis.info(section)
        except NoPermissionError:
            return None


def _config(store: Store) -> dict[str, str]:
    """Read the settings; empty where a provider forbids it, as managed ones do."""
    try:
        config: dict[str, str] = {}
        for name in CONFIGURED:
            config |= cast(dict[str, str], store.redis.config_get(name))
    except RedisError:
        return {}
    return config


def _version(server: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in server else "Redis"
    text = str(server.get("valkey_version") or server.get("redis_version") or "0")
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
    if version < OLDEST_REDIS:
        return Finding("error", "redis", f"{name} {text}", "Use Redis 7.0, Valkey 7.2 or later.")
    return Finding("ok", "redis", f"{name} {text}")


def _append_only(configured: str | None, persistence: dict[str, Any]) -> Finding:
    if configured == "yes" or (configured is None and persistence.get("aof_enabled") == 1):
        if persistence.get("aof_last_write_status", "ok") != "ok":
            return Finding(
                "error", "redis", "the append-only file cannot be written", "Free its disk."
            )
        return Finding("ok", "redis", "append-only file on")
    return Finding(
        "error",
        "redis",
        "append-only file off: a restart of Redis loses accepted work",
        "Set appendonly yes (CONFIG SET appendonly yes, and in its configuration file).",
    )


def _snapshots(store: Store) -> Iterator[Finding]:
    """Find out whether Redis refuses all writes (MISCONF) because it could not save a snapshot."""
    persistence = _info(store, "persistence") or {}
    if persistence.get("rdb_last_bgsave_status", "ok") == "ok":
        return
    config = _config(store)
    if config.get("save") != "" and config.get(STOPS_WRITES) != "no":
        yield Finding(
            "error",
            "redis",
            "the last snapshot (RDB) could not be saved: Redis refuses all writes (MISCONF)",
            "See the log of Redis, and free its disk; the next snapshot that succeeds ends it.",
        )


def _fsync(configured: str | None) -> Finding:
    if configured is None:
        return Finding(
            "warning",
            "redis",
            "appendfsync unknown: CONFIG is forbidden here",
            "Ask the provider that appendfsync is always, or that a replica confirms "
            "(REDIS_REPLICAS_REQUIRED).",
        )
    if configured == "always":
        return Finding("ok", "redis", "appendfsync always")
    return Finding(
        "warning",
        "redis",
        f"appendfsync {configured}: a crash of Redis can lose the last seconds of accepted work",
        "Set appendfsync always; reconcile restores lost events, but not lost refund jobs.",
    )


def _eviction(policy: str | None) -> Finding:
    if policy == "noeviction":
        return Finding("ok", "redis", "maxmemory-policy noeviction")
    what = f"maxmemory-policy {policy or 'unknown'}: a full Redis would delete work"
    return Finding("error", "redis", what, "Set maxmemory-policy noeviction.")


def _replication(store: Store) -> Iterator[Finding]:
    """Compare the replicas that follow with the number that must confirm accepted work."""
    info, required = _info(store, "replication"), store.replicas_required
    if info is None:
        return
    following = int(info.get("connected_slaves", 0))
    if required or following:
        yield _replicas(following, required)
    if required and following > required:
        yield _min_replicas(_config(store).get(MIN_REPLICAS))


def _replicas(following: int, required: int) -> Finding:
    what = f"{following} replica(s) follow, REDIS_REPLICAS_REQUIRED is {required}"
    if not required:
        return Finding(
            "warning",
            "redis",
            f"{what}: a fail-over can lose what was just accepted",
            "Set REDIS_REPLICAS_REQUIRED=1.",
        )
    if following < required:
        return Finding(
            "error",
            "redis",
            f"{what}: webhooks and refunds are answered 503, and no notification is sent",
            "Start the missing replica, or see why it does not follow.",
        )
    if following == required:
        return Finding(
            "warning",
            "redis",
            f"{what}: while one is down, webhooks and refunds are answered 503",
            "Run one replica more than are required.",
        )
    return Finding("ok", "redis", what)


def _min_replicas(configured: str | None) -> Finding:
    if configured is None:
        return Finding(
            "warning",
            "redis",
            f"{MIN_REPLICAS} unknown: CONFIG is forbidden here",
            "Ask the provider whether a primary without replicas refuses writes.",
        )
    if int(configured):
        return Finding("ok", "redis", f"{MIN_REPLICAS} {configured}")
    return Finding(
        "warning",
        "redis",
        f"{MIN_REPLICAS} 0: a primary that is cut off accepts writes that a fail-over will lose",
        f"Set {MIN_REPLICAS} 1 and min-replicas-max-lag 10.",
    )


def _fullness(usage: Memory) -> Finding:
    used = f"{usage.used / 1_048_576:.0f} MB used"
    if not usage.limit:
        return Finding(
            "warning",
            "redis",
            f"{used}, maxmemory not set",
            "Set maxmemory to less than the memory of the machine.",
        )
    share = usage.used / usage.limit
    what = f"{used} of {usage.limit / 1_048_576:.0f} MB ({share:.0%})"
    if share > NEARLY_FULL:
        return Finding("warning", "redis", what, "See the runbook: StoreNearlyFull.")
    return Finding("ok", "redis", what)


def ensure_durable(store: Store, settings: Settings) -> None:
    """Check Redis at the start: log its problems; with a live key, refuse to start.

    A Redis that does not answer yet does not prevent the start. Raises `Misconfigured`.
    """
    try:
        findings = [finding for finding in inspect_settings(store) if finding.level != "ok"]
    except Unavailable as error:
        log.warning("store_not_checked", detail=str(error))
        return
    for finding in findings:
        log.warning("store_setting", level_of=finding.level, what=finding.what, fix=finding.fix)
    errors = [f"REDIS_URL: {f.what}. {f.fix}" for f in findings if f.level == "error"]
    if errors and settings.livemode:
        raise Misconfigured("\n".join(errors), code="store_not_durable")
