"""The steps of docs/going-live.md in their order: endpoint, its secret, start, payment, doctor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.conftest import NOTIFICATION_SECRET
from tests.servers import ROOT, free_port, process, receiver, sandbox, valkey, wait_until

KEY = "operator-key-0123456789"
MODULES = ("api", "worker", "worker.upkeep")


def billing(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run `./billing` with these settings."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "BILLING_ENV_FILE": ""} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_endpoint_comes_before_the_first_start() -> None:
    steps = re.findall(r"^## \d\. (.*)$", (ROOT / "docs/going-live.md").read_text(), re.MULTILINE)
    assert steps.index("The webhook endpoint") < steps.index("Run it, with TLS in front")


@pytest.mark.long
def test_the_service_starts_with_the_secret_that_register_prints(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        settings = {
            "STRIPE_SECRET_KEY": "rk_test_0123456789abcdefghij",
            "STRIPE_API_BASE": stack.enter_context(sandbox()),
            "REDIS_URL": stack.enter_context(valkey("--appendonly", "yes")),
            "EVENT_SERVICE_URL": stack.enter_context(
                receiver(EVENT_SERVICE_SECRET=NOTIFICATION_SECRET)
            ),
            "EVENT_SERVICE_SECRET": NOTIFICATION_SECRET,
            "OPERATOR_KEYS": f"kim:{KEY}",
            "PORT": str(port),
        }
        assert billing(settings, "doctor").returncode == 2  # not yet
        new = billing(settings, "stripe", "register", url, "--yes", "--json")
        settings["STRIPE_WEBHOOK_SECRET"] = json.loads(new.stdout)["secret"]
        for name in MODULES:
            log = tmp_path / f"{name}.log"
            command = [sys.executable, "-m", name]
            stack.enter_context(process(*command, environment=settings, log=log))

        def is_ready() -> bool:
            try:
                return requests.get(f"{url}/health/ready", timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_until(is_ready, "the API is ready")
        wait_until(lambda: billing(settings, "doctor").returncode != 2, "the doctor finds no error")
        body = {"amount": 1000, "currency": "sgd", "payment_method": "pm_card_visa"}
        payment = requests.post(f"{url}/api/payment/process", json=body, timeout=30)
        assert payment.status_code == 200
        show = ("payment", "show", payment.json()["payment_intent_id"])
        is_told = lambda: "outcome=delivered" in billing(settings, *show).stdout  # noqa: E731  # one use
        wait_until(is_told, "the webhook and the notification")
        assert "source=webhook" in billing(settings, *show).stdout
