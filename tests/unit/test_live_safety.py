"""With a live key, guessable secrets and missing keys prevent the start."""

from __future__ import annotations

import secrets

import pytest

from shared.bearer_keys import bearer_keys
from shared.live_safety import live_problems, looks_random
from tests.conftest import make_settings

STRONG = "9f8b2c7d1e6a4053b7c2d9e8f1a06b5c"
OTHER = "Jq3xT7vZpL0sWm5RkY8nBdCf"
LIVE = {
    "stripe_secret_key": "sk_live_0123456789",
    "stripe_webhook_secret": "whsec_1a2b3c4d5e6f7a8b9c0d1e2f3a4b",
    "event_service_url": "https://events.example",
    "event_service_secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "api_keys": f"shop:{STRONG}",
    "operator_keys": f"kim:{OTHER}",
}


def problems(**changes: str) -> list[str]:
    return live_problems(make_settings(**(LIVE | changes)))


def test_strong_secrets_and_a_closed_event_service_are_accepted() -> None:
    assert problems() == []


@pytest.mark.parametrize(
    "weak",
    [
        STRONG[:23],
        "a" * 40,
        "123456789012345678901234",
        "abcdefghijklmnopqrstuvwxyz",
        "passwordpasswordpassword",
        "changeme-changeme-changeme",
        "ababababababababababababab",
        "shop:" + STRONG[:20],
    ],
)
@pytest.mark.parametrize("name", ["api_keys", "operator_keys"])
def test_a_key_that_can_be_guessed_is_refused(name: str, weak: str) -> None:
    (problem,) = problems(**{name: weak})
    assert problem.startswith(name.upper())
    assert "24 random characters" in problem
    assert weak not in problem


def test_a_random_key_is_hardly_ever_taken_for_a_weak_one() -> None:
    keys = [secrets.token_hex(12) for _ in range(2000)]
    keys += [secrets.token_hex(32) for _ in range(2000)]
    keys += [secrets.token_urlsafe(24) for _ in range(2000)]
    assert sum(not looks_random(key) for key in keys) <= 10


def test_a_key_is_of_one_caller_or_one_operator() -> None:
    assert problems(operator_keys=f"kim:{STRONG}")[0].startswith("OPERATOR_KEYS")
    assert problems(api_keys=f"shop:{STRONG},kiosk:{STRONG}")[0].startswith("API_KEYS")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stripe_webhook_secret", "whsec_short"),
        ("event_service_secret", "whsec_c2hvcnQ="),
        ("event_service_secret", ""),
        ("event_service_url", "http://events.example"),
    ],
)
def test_a_door_that_can_be_opened_is_refused(name: str, value: str) -> None:
    (problem,) = problems(**{name: value})
    assert problem.startswith(name.upper())


def test_an_open_event_service_is_allowed_by_name_only() -> None:
    is_open = {"event_service_secret": "", "event_service_url": "http://events.example"}
    assert len(problems(**is_open)) == 2
    assert problems(**is_open, allow_insecure_event_service="true") == []
    assert problems(event_service_url="http://127.0.0.1:5000") == []


@pytest.mark.parametrize(
    ("entry", "owner", "secret"),
    [
        ("shop:key", "shop", "key"),
        ("shop:key:with:colons", "shop", "key:with:colons"),
        ("key", "unnamed", "key"),
        ("not a name:key", "unnamed", "not a name:key"),
    ],
)
def test_a_key_has_the_name_before_its_first_colon(entry: str, owner: str, secret: str) -> None:
    (key,) = bearer_keys(make_settings(api_keys=(entry,)).api_keys)
    assert (key.owner, key.secret) == (owner, secret)
    assert secret not in repr(key)
