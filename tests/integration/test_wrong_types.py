"""A key of another type, put there by hand, costs time only: a script writes all or nothing."""

from __future__ import annotations

from contextlib import suppress

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from shared.errors import Unavailable
from shared.keys import SCHEMA, Keys, entry_of
from shared.settings import Settings
from shared.store.scripts import Store
from shared.store.sources import key_names, plain_names, script_names, script_source
from shared.work.kinds import EVENTS, NOTIFICATIONS
from tests.integration.hands import Hands
from worker.jobs import JOBS
from worker.run import run

SCRIPTS = [name for name in script_names() if len(key_names(name)) > 1]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings with which what Redis refused is repeated at once, not after 5 s."""
    return settings.model_copy(update={"retry_cap_seconds": 0.05})


def put_another_type(redis: Redis, name: str, script_key: str) -> None:
    """Put a list where the schema has none, and a hash where it has one."""
    if SCHEMA[entry_of(script_key) or ""].type == "list":
        redis.hset(name, "a", "b")
    else:
        redis.rpush(name, "a")


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_refuses_a_key_of_another_type_before_it_writes(
    real_store: Store, script: str
) -> None:
    redis, keys = real_store.redis, real_store.keys
    names = [f"{keys.prefix}{script}:{key}" for key in plain_names(script)]
    for name, key in zip(names, plain_names(script), strict=True):
        put_another_type(redis, name, key)
        before = redis.dbsize()
        with pytest.raises(ResponseError, match=f"WRONGTYPE {name} is a"):
            redis.eval(script_source(script), len(names), *names)
        assert redis.dbsize() == before
        redis.delete(name)


@pytest.mark.parametrize(
    "key",
    [
        Keys().due(EVENTS),
        Keys().index(EVENTS),
        Keys().queue(EVENTS),
        Keys().index(NOTIFICATIONS),
        Keys().queue(NOTIFICATIONS),
        Keys().due(NOTIFICATIONS),
        Keys().payment_index(),
    ],
)
def test_an_event_survives_a_key_of_another_type(hands: Hands, key: str) -> None:
    redis = hands.runtime.store.redis
    hands.pay()
    (event,) = [e for e in hands.events() if e["type"] == "payment_intent.succeeded"]
    redis.set(key, "x")
    if hands.post_event(event).status_code == 200:
        with suppress(Unavailable):
            run(JOBS[EVENTS.name], hands.runtime, event["id"])
        redis.delete(key)
    else:
        redis.delete(key)
        assert hands.post_event(event).get_json()["result"] == "recorded"
    hands.work()
    assert hands.notified_types() == ["payment.succeeded"]
