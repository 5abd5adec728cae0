"""The README's commands, as printed, on the real processes; each card as described."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from tests.e2e.running import Service, service
from tests.servers import ROOT, wait_until
from tests.stopwatch import Stopwatch

README = (ROOT / "README.md").read_text()


@pytest.fixture
def running(open_service: Service) -> Service:
    return open_service


def commands(*headings: str) -> list[str]:
    """Collect the bash blocks under these headings of the README, in order."""
    sections = re.split(r"\n##+ ", README)
    choice = [text for text in sections if text.split("\n", 1)[0] in headings]
    assert len(choice) == len(headings)
    return [block for text in choice for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)]


def test_the_curl_commands_work_as_printed(running: Service, tmp_path: Path) -> None:
    blocks = commands("Pay", "Read and verify", "Refund", "See what the event service received")
    script = running.translated("set -e\n" + "\n".join(blocks))
    process = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    payment = json.loads((tmp_path / "payment.json").read_text())
    refund = json.loads((tmp_path / "refund.json").read_text())
    assert payment["success"] is True
    assert (refund["status"], refund["amount"]) == ("succeeded", 400)
    assert process.stdout.count('"verified":true') == 2
    notifications = running.notifications_of(
        payment["payment_intent_id"], "payment.succeeded", "refund.succeeded"
    )
    told_all = running.notifications(payment_intent_id=payment["payment_intent_id"])
    assert [item["body"]["sequence"] for item in told_all] == list(range(1, len(told_all) + 1))
    assert {item["signature"] for item in notifications} == {"valid"}
    assert notifications[0]["body"]["data"]["event_id"] == "123"


def test_3d_secure_succeeds_after_the_challenge(running: Service) -> None:
    body = running.pay("pm_card_threeDSecure2Required").json()
    payment = body["payment_intent_id"]
    assert body["requires_action"] is True
    # A success that overtakes the challenge makes old news of it.
    running.notifications_of(payment, "payment.requires_action")
    passed = requests.post(
        f"{running.url('SANDBOX_PORT')}/_sandbox/payment_intents/{payment}/authenticate",
        json={"outcome": "complete"},
        timeout=5,
    )
    assert passed.ok
    running.notifications_of(payment, "payment.requires_action", "payment.succeeded")


def test_the_third_card_is_declined_for_insufficient_funds(running: Service) -> None:
    answer = running.pay("pm_card_chargeDeclinedInsufficientFunds")
    assert (answer.status_code, answer.json()["decline_code"]) == (402, "insufficient_funds")
    running.notifications_of(answer.json()["payment_intent_id"], "payment.failed")


@pytest.mark.skipif(not shutil.which("npm"), reason="npm fetches Stripe's CLI and is not here")
def test_the_real_stripe_cli_reaches_the_event_service(running: Service, tmp_path: Path) -> None:
    before = len(running.notifications())
    (block,) = commands("Use Stripe's own command line")
    script = running.translated("set -e\n" + block)
    process = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert '"id": "pm_' in process.stdout

    def types() -> list[str]:
        notifications = [item["type"] for item in running.notifications()[before:]]
        # The fees are notified some seconds later.
        return [name for name in notifications if name != "payment.settled"]

    wait_until(lambda: len(types()) >= 4, "four notifications of what was triggered")
    assert sorted(types()) == [
        "payment.failed",
        "payment.succeeded",
        "payment.succeeded",
        "refund.succeeded",
    ]


def test_health_is_exactly_as_promised(running: Service) -> None:
    answer = requests.get(f"{running.url()}/health", timeout=5)
    assert answer.json() == {"status": "healthy", "service": "billing-service"}
    assert requests.get(f"{running.url()}/health/ready", timeout=5).json()["status"] == "ready"


def test_the_documentation_page_needs_no_outside_host(running: Service) -> None:
    page = requests.get(f"{running.url()}/docs", timeout=5)
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert "//" not in link
        assert requests.get(f"{running.url()}/{link}", timeout=5).ok


@pytest.mark.long
def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    with Stopwatch() as watch, service(tmp_path) as first:
        payment = first.pay("pm_card_visa").json()["payment_intent_id"]
        first.notifications_of(payment, "payment.succeeded")
        ran = watch.seconds
    assert watch.seconds - ran < 20, "stopping took too long"
    with service(tmp_path) as second:
        story = requests.get(f"{second.url()}/api/payment/{payment}", timeout=10).json()
        assert (story["status"], story["stale"]) == ("succeeded", False)
        kinds = [entry["kind"] for entry in story["timeline"]]
        assert "delivery_attempt" in kinds
