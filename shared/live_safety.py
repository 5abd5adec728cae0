"""Checks with a live Stripe key: secrets that can be guessed, and unprotected connections."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.bearer_keys import bearer_keys
from shared.hosts import LOOPBACK_NAMES

# 24 characters of hexadecimal digits hold 96 bits: more than can be tried.
SHORTEST_SECRET = 24
# Of 24 random hexadecimal digits fewer than 8 differ once in ten million.
FEWEST_DIFFERENT = 8
# Six characters that come twice, or every second character following the one before, are a
# pattern; in 64 random hexadecimal digits the first happens once in ten thousand.
REPEATED = re.compile(r"(.{6}).*\1", re.DOTALL)
PREFIX = "whsec_"
ADVICE = "make one with: openssl rand -hex 32"


class Guarded(Protocol):
    """The settings that protect the service."""

    @property
    def stripe_webhook_secret(self) -> Sequence[SecretStr]:
        """Return the secrets that sign Stripe's webhooks."""

    @property
    def event_service_url(self) -> str:
        """Return the address of the event service."""

    @property
    def event_service_secret(self) -> Sequence[SecretStr]:
        """Return the secrets that sign notifications."""

    @property
    def api_keys(self) -> Sequence[SecretStr]:
        """Return the callers' keys."""

    @property
    def operator_keys(self) -> Sequence[SecretStr]:
        """Return the operators' keys."""

    @property
    def allow_insecure_event_service(self) -> bool:
        """Say whether notifications may go unsigned, or over http."""


def looks_random(secret: str) -> bool:
    """Say whether a secret is long enough and has no simple pattern."""
    neighbours = itertools.pairwise(secret)
    steps = sum(abs(ord(one) - ord(next_)) <= 1 for one, next_ in neighbours)
    return (
        len(secret) >= SHORTEST_SECRET
        and len(set(secret)) >= FEWEST_DIFFERENT
        and steps * 2 < len(secret)
        and not REPEATED.search(secret)
    )


def live_problems(settings: Guarded) -> list[str]:
    """List the problems with a live key, one line each, which begins with the variable's name."""
    return [
        *_weak_keys(settings),
        *_weak_signing_secrets(settings),
        *_open_event_service(settings),
    ]


def _weak_keys(settings: Guarded) -> Iterator[str]:
    earlier: set[str] = set()
    for name, entries in (
        ("API_KEYS", settings.api_keys),
        ("OPERATOR_KEYS", settings.operator_keys),
    ):
        secrets = [key.secret for key in bearer_keys(entries)]
        if not all(looks_random(secret) for secret in secrets):
            yield (
                f"{name} is not valid: with a live Stripe key each key has at least "
                f"{SHORTEST_SECRET} random characters; {ADVICE}"
            )
        if earlier.intersection(secrets) or len(set(secrets)) < len(secrets):
            yield f"{name} is not valid: with a live Stripe key no key may be there twice"
        earlier.update(secrets)


def _weak_signing_secrets(settings: Guarded) -> Iterator[str]:
    webhook = (s.get_secret_value().removeprefix(PREFIX) for s in settings.stripe_webhook_secret)
    if any(len(secret) < SHORTEST_SECRET for secret in webhook):
        yield (
            "STRIPE_WEBHOOK_SECRET is not valid: with a live Stripe key each secret has at least "
            f"{SHORTEST_SECRET} characters after whsec_, as Stripe makes them"
        )
    outgoing = [s.get_secret_value() for s in settings.event_service_secret]
    if any(length < SHORTEST_SECRET for length in _lengths(outgoing)):
        yield (
            "EVENT_SERVICE_SECRET is not valid: with a live Stripe key each secret holds at least "
            f"{SHORTEST_SECRET} bytes, whsec_<base64>"
        )


def _lengths(secrets: Iterable[str]) -> Iterator[int]:
    """Return the number of bytes of each secret; 0 for one that is no base64."""
    for secret in secrets:
        try:
            yield len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
        except ValueError:
            yield 0


def _open_event_service(settings: Guarded) -> Iterator[str]:
    if settings.allow_insecure_event_service:
        return
    remedy = "; or set ALLOW_INSECURE_EVENT_SERVICE=true"
    if not settings.event_service_secret:
        yield (
            "EVENT_SERVICE_SECRET is not set: with a live Stripe key notifications are signed"
            + remedy
        )
    parts = urlsplit(settings.event_service_url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_NAMES:
        yield (
            "EVENT_SERVICE_URL is not valid: with a live Stripe key notifications go over https"
            + remedy
        )
