"""Beginning and concluding a request: what a key holds, for how long, and who may write to it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.idempotency import LEASE_MS, IdempotencyKeys, KeptAnswer, idempotent_request
from shared.errors import CallerError
from shared.store.scripts import Store
from tests.conftest import make_settings

SETTINGS = make_settings()
FIRST = idempotent_request("shop", "key", {"amount": 1})
SECOND = replace(FIRST, token="another")
ANSWER = KeptAnswer(200, {"ok": True})


@pytest.fixture
def keys(store: Store) -> IdempotencyKeys:
    """Return the keys on either store, with a first request under way."""
    idempotency = IdempotencyKeys(store, SETTINGS)
    assert idempotency.begin(FIRST) is None
    return idempotency


def record(store: Store) -> str:
    return store.keys.idempotency(FIRST.digest)


def test_a_key_is_kept_as_long_as_the_settings_say(keys: IdempotencyKeys, store: Store) -> None:
    lives = SETTINGS.idempotency_retention_seconds
    for answer in (None, ANSWER):
        assert lives - 60 < store.redis.ttl(record(store)) <= lives
        keys.conclude(FIRST, answer)


def test_a_request_whose_reply_was_lost_begins_once_more(keys: IdempotencyKeys) -> None:
    assert keys.begin(FIRST) is None
    with pytest.raises(CallerError, match="still running"):
        keys.begin(SECOND)


def test_who_comes_while_the_first_request_runs_is_told_when_its_lease_ends(
    keys: IdempotencyKeys, store: Store
) -> None:
    store.redis.hset(record(store), "lease_until", store.now_ms() + LEASE_MS)
    with pytest.raises(CallerError) as refusal:
        keys.begin(SECOND)
    assert 1 < (refusal.value.retry_after_seconds or 0) <= LEASE_MS / 1000


def test_a_lease_longer_than_any_has_lapsed(keys: IdempotencyKeys, store: Store) -> None:
    """It was written before the clock was set back."""
    store.redis.hincrby(record(store), "lease_until", LEASE_MS)
    assert keys.begin(SECOND) is None


def test_who_lost_the_key_concludes_nothing(keys: IdempotencyKeys, store: Store) -> None:
    store.redis.hset(record(store), "lease_until", 1)
    assert keys.begin(SECOND) is None
    keys.conclude(FIRST, KeptAnswer(402, {}))
    fields = store.hash(record(store))
    assert ("answer" in fields, "lease_until" in fields) == (False, True)
    keys.conclude(SECOND, ANSWER)
    assert keys.begin(FIRST) == ANSWER


def test_without_an_answer_the_next_request_begins_at_once(keys: IdempotencyKeys) -> None:
    keys.conclude(FIRST, None)
    assert keys.begin(SECOND) is None
