"""The Stripe that the suite tests: a sandbox started for it, or Stripe's test mode."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import requests

from tests import servers
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
SANDBOX_KEY = "sk_test_contract_suite"
# Ten minutes in all, by which the sandbox has done all that it does by itself (debits, refunds).
SANDBOX_STEPS = 60
SANDBOX_STEP_SECONDS = 10


@dataclass(frozen=True)
class Side:
    """The Stripe under test, reached without the witness."""

    url: str
    key: str
    is_fake: bool

    def eventually(self, look: Callable[[], T | None], what: str) -> T:
        """Repeat a read until it returns something, and let the sandbox's time pass in between."""
        if self.is_fake:
            for _ in range(SANDBOX_STEPS):
                value = look()
                if value:
                    return value
                self.let_time_pass(SANDBOX_STEP_SECONDS)
        return wait_until(look, what)

    def let_time_pass(self, seconds: float) -> None:
        """Move the sandbox's clock, and do what becomes due. Stripe's clock cannot be moved."""
        if self.is_fake:
            self.control("clock", advance_seconds=seconds)

    def control(self, path: str, **body: object) -> dict[str, object]:
        """Call one of the sandbox's own routes under `/_sandbox/`."""
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        answer.raise_for_status()
        result: dict[str, object] = answer.json()
        return result

    def forget(self, path: str) -> None:
        """Remove one of the sandbox's faults."""
        requests.delete(f"{self.url}/_sandbox/{path}", timeout=10).raise_for_status()


def key_of_test_mode() -> str | None:
    """Return the key of the Stripe account to test; refuse a live key."""
    key = os.environ.get("STRIPE_CONTRACT_KEY")
    if key and not key.startswith(("sk_test_", "rk_test_")):
        raise SystemExit("STRIPE_CONTRACT_KEY must be a test mode key: sk_test_... or rk_test_...")
    return key


def sides() -> Iterator[Side]:
    """Yield the Stripe of this run; a sandbox runs as long as the generator."""
    key = key_of_test_mode()
    if key:
        # Another address serves to try this mode without an account.
        url = os.environ.get("STRIPE_CONTRACT_URL", "https://api.stripe.com")
        yield Side(url, key, is_fake=False)
        return
    with servers.sandbox() as url:
        yield Side(url, SANDBOX_KEY, is_fake=True)
