"""Say which Stripe the suite talks to: the sandbox, started for it, or Stripe's test mode."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SANDBOX_KEY = "sk_test_contract_suite"
READY = "sandbox listening on "
# Seconds; a start takes well under one, a laden CI machine several.
START_LIMIT_SECONDS = 30


@dataclass(frozen=True)
class Side:
    """The Stripe under test, as it is reached without the witness between."""

    url: str
    key: str
    is_fake: bool

    @property
    def patience_seconds(self) -> float:
        """How long to wait for what happens by itself: events, disputes, balances."""
        return 5 if self.is_fake else 60

    def control(self, path: str, **body: object) -> dict[str, object]:
        """Call one of the sandbox's own routes under `/_sandbox/`."""
        answer = requests.post(f"{self.url}/_sandbox/{path}", json=body, timeout=10)
        answer.raise_for_status()
        result: dict[str, object] = answer.json()
        return result


def test_mode_key() -> str | None:
    """Return the key of the Stripe account to run against, refusing one that moves money."""
    key = os.environ.get("STRIPE_CONTRACT_KEY")
    if key and not key.startswith(("sk_test_", "rk_test_")):
        raise SystemExit("STRIPE_CONTRACT_KEY must be a test mode key: sk_test_... or rk_test_...")
    return key


def sides() -> Iterator[Side]:
    """Yield the one Stripe of this run; a sandbox lives as long as the generator."""
    key = test_mode_key()
    if key:
        yield Side("https://api.stripe.com", key, is_fake=False)
        return
    process = start_sandbox({})
    try:
        yield Side(address_of(process), SANDBOX_KEY, is_fake=True)
    finally:
        process.terminate()
        process.wait(timeout=10)


def start_sandbox(environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start `python -m sandbox` on a free port; `address_of` waits until it serves."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SANDBOX_")}
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT,
        env=inherited | {"SANDBOX_PORT": "0", "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def address_of(process: subprocess.Popen[str]) -> str:
    """Wait for the line that says where the sandbox listens; then keep its pipe from filling."""
    guard = threading.Timer(START_LIMIT_SECONDS, process.kill)
    guard.start()
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if READY in line:
            guard.cancel()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return line.split(READY)[1].split()[0]
    guard.cancel()
    raise RuntimeError("the sandbox did not start: " + "".join(said))
