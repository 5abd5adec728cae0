"""The identity of the data in Redis, and the keys of an earlier release after an upgrade."""

from __future__ import annotations

import json
import socket

import pytest
from redis import Redis

from shared.errors import Misconfigured
from shared.keys import Keys
from shared.opening import ACCOUNT_SECONDS, LOOKS_FOR_ACCOUNT, Watch, ensure_usable
from shared.store.carry_over import CHUNK, LAST, carry_over
from shared.store.identity import Identity, ensure_ours, identity_of
from shared.store.scripts import Store
from shared.work.kinds import EVENTS, NOTIFICATIONS
from tests.conftest import make_settings
from tests.stopwatch import Stopwatch
from tests.warm import python_of
from worker.runtime import Runtime

LIVE = Identity("live", account="acct_1")


@pytest.mark.parametrize(
    "other",
    [
        Identity("test", account="acct_1"),
        Identity("live", account="acct_2"),
        Identity("sandbox", account="acct_1"),
        Identity("sandbox"),
    ],
    ids=str,
)
def test_a_store_of_another_identity_is_refused_and_both_are_named(
    store: Store, other: Identity
) -> None:
    ensure_ours(store, LIVE)
    with pytest.raises(Misconfigured) as refusal:
        ensure_ours(store, other)
    for names in (str(LIVE), str(other), "INSTALLATION", store.keys.identity()):
        assert names in refusal.value.detail
    assert store.hash(store.keys.identity()) == {"mode": "live", "account": "acct_1"}


def test_what_is_not_known_is_not_compared_and_is_added_later(store: Store) -> None:
    ensure_ours(store, Identity("live"))
    ensure_ours(store, LIVE)
    ensure_ours(store, Identity("live"))
    ensure_ours(store, Identity())
    assert store.hash(store.keys.identity())["account"] == "acct_1"


def test_another_installation_has_another_identity(store: Store) -> None:
    ensure_ours(store, LIVE)
    ensure_ours(Store(store.redis, Keys("other")), Identity("sandbox"))


def test_a_rotated_key_and_another_port_of_the_sandbox_are_no_mismatch(
    real_store: Store, sandbox: str
) -> None:
    for key, base in (("sk_test_one_0123456789", sandbox), ("sk_test_two_0123456789", sandbox)):
        settings = make_settings(stripe_secret_key=key, stripe_api_base=base)
        ensure_usable(real_store, settings)
    moved = sandbox.replace("127.0.0.1", "localhost")
    ensure_usable(real_store, make_settings(stripe_api_base=moved))
    identity = real_store.hash(real_store.keys.identity())
    assert identity["mode"] == "sandbox"
    assert identity["account"].startswith("acct_")


def test_a_live_key_and_a_test_key_have_different_identities() -> None:
    assert identity_of(make_settings(stripe_secret_key="rk_live_x")).mode == "live"
    assert identity_of(make_settings()).mode == "test"
    assert identity_of(make_settings(stripe_api_base="http://127.0.0.1:1")).mode == "sandbox"


@pytest.mark.parametrize("module", ["api", "worker", "worker.upkeep"])
def test_no_process_starts_on_a_store_of_another_identity(
    real_store: Store, valkey_url: str, module: str
) -> None:
    ensure_ours(real_store, Identity("sandbox", account="acct_sandbox"))
    environment = {
        "STRIPE_SECRET_KEY": "sk_test_of_an_account_0123",
        "STRIPE_WEBHOOK_SECRET": "whsec_0123456789",
        "EVENT_SERVICE_URL": "http://127.0.0.1:9",
        "REDIS_URL": valkey_url,
        "PORT": "0",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "STRIPE_MODE": "test",
    }
    process = python_of(module).run("-m", module, environment=environment)
    assert process.returncode != 0
    assert "another identity" in process.stderr
    assert "acct_sandbox" in process.stderr


def test_a_store_that_became_anothers_ends_the_process(
    real_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr("os._exit", ended.append)
    settings = make_settings(stripe_api_base="http://127.0.0.1:1")
    watch = Watch(real_store, settings, identity_of(settings))
    watch()
    assert ended == []
    real_store.redis.flushall()  # a fail-over to an empty server
    watch()
    assert real_store.hash(real_store.keys.identity()) == {"mode": "sandbox"}
    real_store.redis.hset(real_store.keys.identity(), "mode", "live")  # … or to other data
    watch()
    assert ended == [2]


def test_an_account_that_is_known_since_the_start_is_not_asked_for_again(
    real_store: Store, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(stripe_api_base=sandbox)
    ours = ensure_usable(real_store, settings)
    assert ours.account.startswith("acct_")
    monkeypatch.setattr("shared.opening._account", lambda _: pytest.fail("asked again"))
    watch = Watch(real_store, settings, ours)
    for _ in range(max(LOOKS_FOR_ACCOUNT) + 2):
        watch()


def test_an_account_unknown_at_the_start_is_learnt_and_added(
    real_store: Store, sandbox: str
) -> None:
    settings = make_settings(stripe_api_base=sandbox)
    watch = Watch(real_store, settings, identity_of(settings))
    for _ in range(min(LOOKS_FOR_ACCOUNT) + 1):
        watch()
    assert real_store.hash(real_store.keys.identity())["account"].startswith("acct_")


def test_a_stripe_that_never_answers_does_not_hold_up_the_start(real_store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = make_settings(stripe_api_base=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with Stopwatch() as watch:
            ours = ensure_usable(real_store, settings)
    assert ours.account == ""
    assert watch.seconds < 2 * ACCOUNT_SECONDS


def old_store(redis: Redis, events: int = 3) -> None:
    """Write keys as an earlier release did: names without a hash tag."""
    for number in range(events):
        name = f"evt_{number}"
        redis.hset(
            f"billing:event:{name}",
            mapping={
                "id": name,
                "state": "received",
                "attempts": 0,
                "crashes": 0,
                "fence": 0,
                "type": "charge.updated",
                "recorded_at": 1,
            },
        )
        redis.set(f"billing:event:{name}:body", json.dumps({"id": name}))
        redis.zadd("billing:due:events", {name: 1})
    redis.set("billing:refund_of:re_1", "rr_1", px=60_000)
    redis.rpush("billing:payment:pi_1:timeline", '{"at":"2026-01-01T00:00:00+00:00","kind":"x"}')
    redis.hset("billing:notification:ntf_1", mapping={"id": "ntf_1", "state": "waiting"})
    redis.zadd("billing:due:upkeep", {"reap": 1})
    redis.set("somebody:else", "1")


def test_an_upgrade_carries_every_key_over(real_store: Store) -> None:
    redis = real_store.redis
    old_store(redis, events=CHUNK + 5)
    before = len(list(redis.scan_iter("billing:*")))
    assert carry_over(real_store) == before
    assert list(redis.scan_iter("billing:*")) == []
    assert redis.get("somebody:else") == "1"
    assert 0 < redis.pttl(real_store.keys.refund_of("re_1")) <= 60_000
    runtime = Runtime(make_settings(), real_store)
    claim = runtime.inbox.work.claim("evt_1")
    assert claim is not None
    assert claim.body == '{"id": "evt_1"}'
    assert runtime.payments.timeline("pi_1")[0]["at"] == "2026-01-01T00:00:00+00:00"
    assert redis.exists(real_store.keys.item(NOTIFICATIONS, "ntf_1"))
    assert carry_over(real_store) == 0


@pytest.mark.parametrize("steps", range(1, 9))
def test_an_upgrade_cut_off_anywhere_goes_on(
    real_store: Store, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    old_store(real_store.redis)
    whole = Redis.delete
    calls = iter(range(steps))

    def cut(self: Redis, *names: str) -> int:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return whole(self, *names)

    monkeypatch.setattr(Redis, "delete", cut)
    with pytest.raises(KeyboardInterrupt):
        carry_over(real_store)
    monkeypatch.setattr(Redis, "delete", whole)
    assert real_store.redis.exists(LAST)
    carry_over(real_store)
    assert list(real_store.redis.scan_iter("billing:*")) == []
    assert real_store.redis.zcard(real_store.keys.due(EVENTS)) == 3


def test_what_an_earlier_release_added_after_an_upgrade_is_joined(real_store: Store) -> None:
    redis = real_store.redis
    redis.zadd(real_store.keys.due(EVENTS), {"evt_new": 5})
    redis.hset(real_store.keys.item(EVENTS, "evt_0"), mapping={"state": "processed"})
    old_store(redis)
    carry_over(real_store)
    assert redis.zcard(real_store.keys.due(EVENTS)) == 4
    assert redis.hget(real_store.keys.item(EVENTS, "evt_0"), "state") == "processed"
    assert list(redis.scan_iter("billing:*")) == ["billing:event:evt_0"], "kept, and told"


def test_another_installation_takes_nothing_over(real_store: Store) -> None:
    old_store(real_store.redis)
    assert carry_over(Store(real_store.redis, Keys("other"))) == 0
    assert real_store.redis.exists(LAST)
